// Package programmes holds the loyalty programmes that are shipped with azs-edge, as the files that headquarters publishes
// and loyalty.ParseProgramme reads. Each figure in a file names its public source, or says that it is assumed.
//
// It promises that every file is valid; it does not promise that an operator's terms have not changed since.
package programmes

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed *.yaml
var files embed.FS

// Default is the name of the programme that a demonstration and a fresh headquarters start with.
const Default = "semeynaya-komanda"

// Names lists the programmes in alphabetical order.
func Names() []string {
	found, _ := fs.Glob(files, "*.yaml") // the pattern is well-formed, and nothing else can fail
	for i, f := range found {
		found[i] = strings.TrimSuffix(f, ".yaml")
	}
	return found
}

// File is the file of a programme. An unknown name is an error that lists the known ones.
func File(name string) ([]byte, error) {
	b, err := files.ReadFile(name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("no programme %.64q is shipped; there are: %s", name, strings.Join(Names(), ", "))
	}
	return b, nil
}
