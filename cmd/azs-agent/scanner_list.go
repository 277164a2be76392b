package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/pos/scanner"
)

// listedPort is a port and who has it open, as far as may be seen.
type listedPort struct {
	scanner.Port
	Owners []scanner.Process `json:"owners,omitempty"`
}

func newScannerListCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the serial ports, without opening any",
		Long: `Lists the serial ports that have hardware behind them: the path to write into the configuration, the USB vendor,
product and serial number, the driver, and the programs that have the port open. Programs of other users are seen by
root only. No port is opened: opening one resets some scanners.

Ends with 0 even if there is no port.`,
		Example: "  azs-agent scanner list\n  azs-agent scanner list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			host := scanner.Host{}
			ports, err := host.Ports()
			if err != nil {
				return err
			}
			list := []listedPort{}
			for _, p := range ports {
				list = append(list, listedPort{p, host.Owners(p.Path)})
			}
			if asJSON {
				return printJSON(cmd, list)
			}
			return printPorts(cmd, list)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printPorts(cmd *cobra.Command, list []listedPort) error {
	if len(list) == 0 {
		cmd.PrintErrln("No serial port. Is the scanner plugged in, and in serial (COM, CDC) mode and not in keyboard mode?")
		return nil
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PORT\tUSB\tSERIAL\tDRIVER\tDEVICE\tOPEN IN")
	for _, p := range list {
		usb := "-"
		if p.VID != 0 {
			usb = p.VID.String() + ":" + p.PID.String()
		}
		owners := make([]string, len(p.Owners))
		for i, o := range p.Owners {
			owners[i] = o.String()
		}
		device := strings.TrimSpace(p.Manufacturer + " " + p.Product)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", p.Path, usb, dash(p.Serial), dash(p.Driver), dash(device), dash(strings.Join(owners, ", ")))
	}
	return w.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
