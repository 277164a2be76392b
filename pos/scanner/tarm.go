package scanner

import "github.com/tarm/serial"

// tarm is the line in the library's words.
func tarm(path string, line Line) *serial.Config {
	parity := map[Parity]serial.Parity{ParityNone: serial.ParityNone, ParityOdd: serial.ParityOdd, ParityEven: serial.ParityEven}
	return &serial.Config{
		Name:        path,
		Baud:        line.Baud,
		Size:        byte(line.DataBits),
		Parity:      parity[line.Parity],
		StopBits:    serial.StopBits(line.StopBits),
		ReadTimeout: readTimeout,
	}
}
