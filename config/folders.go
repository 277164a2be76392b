package config

import (
	"os"
	"runtime"
)

// folders are the two places a program of ours keeps files in: its settings and its state.
type folders struct{ settingsDir, stateDir, separator string }

func (f folders) settings(name string) string { return f.settingsDir + f.separator + name }
func (f folders) state(name string) string    { return f.stateDir + f.separator + name }

// unixFolders are the folders the packages create.
func unixFolders(program string) folders {
	return folders{"/etc/" + program, "/var/lib/" + program, "/"}
}

// systemFolders are the folders of the operating system we run on. Never the working folder: a Windows service starts
// in System32.
func systemFolders(program string) folders {
	if runtime.GOOS != "windows" {
		return unixFolders(program)
	}
	root := os.Getenv("ProgramData")
	if root == "" {
		root = `C:\ProgramData`
	}
	return folders{root + `\` + program, root + `\` + program, `\`}
}

// AgentPath is where azs-agent looks for its configuration: /etc/azs-agent/config.yaml, on Windows
// %ProgramData%\azs-agent\config.yaml.
func AgentPath() string { return systemFolders("azs-agent").settings("config.yaml") }

// HQPath is where azs-hq looks for its configuration: /etc/azs-hq/config.yaml, on Windows
// %ProgramData%\azs-hq\config.yaml.
func HQPath() string { return systemFolders("azs-hq").settings("config.yaml") }
