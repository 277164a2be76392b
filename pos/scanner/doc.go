// Package scanner reads a barcode scanner or card reader on a serial port and hands on what it read, frame by frame.
//
// It promises:
//   - a frame is handed on whole or not at all: what was half read when the cable came out is dropped, and at most
//     MaxLen bytes are ever held ([Framer]);
//   - the bytes of a frame are those that came over the wire, its prefix and suffix included ([Frame.Raw]), so that
//     a goods code can be passed on to the cash register unchanged;
//   - unplugging is seen within milliseconds on Linux, the port is let go at once (so that it keeps its name), and it
//     is opened again when it is back, for as long as the context lives ([Scanner.Run]);
//   - while a port is open no second copy of the program reads from it;
//   - [Scanner.State] is safe to call from any goroutine at any time, for health pages.
//
// It does not promise to understand a frame (that is the card decoder's matter), nor to know whether a line that is
// silent has a working scanner at its end: a serial scanner says nothing until somebody scans. Flow control is not
// supported and must be off in the scanner.
package scanner
