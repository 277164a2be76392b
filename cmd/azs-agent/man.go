package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newManCmd prints the manual page, for the packages.
func newManCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "man",
		Short:   "Print the manual page",
		Example: "  azs-agent man > azs-agent.8 && man ./azs-agent.8",
		Args:    cobra.NoArgs,
		Hidden:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return writeManPage(cmd.OutOrStdout(), cmd.Root())
		},
	}
}

// writeManPage writes azs-agent(8) in man(7) macros: one section with every verb, made from the help texts. The date is
// that of the build, so that the same source gives the same page.
func writeManPage(w io.Writer, root *cobra.Command) error {
	v := buildVersion()
	var b strings.Builder
	day, _, _ := strings.Cut(v.Date, "T")
	fmt.Fprintf(&b, ".TH AZS\\-AGENT 8 %q %q \"System administration\"\n", day, "azs-agent "+v.Version)
	fmt.Fprintf(&b, ".SH NAME\nazs\\-agent \\- %s\n", roff(strings.ToLower(root.Short[:1])+root.Short[1:]))
	b.WriteString(".SH SYNOPSIS\n.B azs\\-agent\n[\\fB\\-\\-config\\fR \\fIfile\\fR] \\fIcommand\\fR [\\fIargument\\fR ...]\n")
	b.WriteString(".SH DESCRIPTION\n")
	manText(&b, root.Long)
	b.WriteString(".SH OPTIONS\n")
	manFlags(&b, root.PersistentFlags())
	b.WriteString(".SH COMMANDS\n")
	manCommands(&b, root)
	b.WriteString(`.SH FILES
.TP
.I /etc/azs\-agent/config.yaml
The configuration; \fBazs\-agent config schema\fR describes every key.
.TP
.I /etc/azs\-agent/environment
Overrides of single keys for the service.
.TP
.I /etc/azs\-agent/api.token
The token that the cash\-register software presents.
.TP
.I /var/lib/azs\-agent/
The ledger. It is not removed with the package.
.SH EXIT STATUS
0 when what was asked is done, 78 when the configuration is wrong, 1 otherwise, except where a command says so.
`)
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("writing the manual page: %w", err)
	}
	return nil
}

func manCommands(b *strings.Builder, parent *cobra.Command) {
	for _, c := range parent.Commands() {
		if !c.IsAvailableCommand() || c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		if c.HasAvailableSubCommands() {
			manCommands(b, c)
			continue
		}
		use := strings.TrimSuffix(c.UseLine(), " [flags]")
		fmt.Fprintf(b, ".SS \"%s\"\n", roff(use))
		if c.Long != "" {
			manText(b, c.Long)
		} else {
			manText(b, c.Short+".")
		}
		manFlags(b, c.LocalNonPersistentFlags())
		if c.Example != "" {
			fmt.Fprintf(b, ".PP\nExample:\n.PP\n.nf\n%s\n.fi\n", roff(c.Example))
		}
	}
}

func manFlags(b *strings.Builder, flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		b.WriteString(".TP\n")
		if f.Shorthand != "" {
			fmt.Fprintf(b, "\\fB\\-%s\\fR, ", f.Shorthand)
		}
		fmt.Fprintf(b, "\\fB\\-\\-%s\\fR", roff(f.Name))
		if value != "" {
			fmt.Fprintf(b, " \\fI%s\\fR", roff(value))
		}
		fmt.Fprintf(b, "\n%s\n", roff(usage))
	})
}

// manText writes paragraphs; indented lines keep their breaks.
func manText(b *strings.Builder, text string) {
	for _, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if strings.HasPrefix(paragraph, " ") {
			fmt.Fprintf(b, ".PP\n.nf\n%s\n.fi\n", roff(paragraph))
		} else {
			fmt.Fprintf(b, ".PP\n%s\n", roff(paragraph))
		}
	}
}

// roff escapes what man(7) would take for its own.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "`", "").Replace(s)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
