package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/azs-edge/azs-edge/config"
	"github.com/azs-edge/azs-edge/packaging"
)

// machine is a folder that looks like the root of a machine, with a systemctl that writes down what it is asked.
func machine(t *testing.T, files ...string) (control *systemdControl, asked func() string) {
	t.Helper()
	root, bin := t.TempDir(), t.TempDir()
	for _, f := range files {
		if err := errors.Join(os.MkdirAll(filepath.Dir(root+f), 0o755), os.WriteFile(root+f, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	log := filepath.Join(bin, "log")
	script := "#!/bin/sh\necho \"$@\" >> " + log + "\ncase $1 in show) cat " + root + "/show;; restart) echo broken >&2; exit 1;; esac\n"
	if err := os.WriteFile(filepath.Join(bin, "systemctl"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	return &systemdControl{root: root, configFile: config.AgentPath(), isRoot: true}, func() string {
		out, err := os.ReadFile(log)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return string(out)
	}
}

const runningSystemd = "/run/systemd/system/x"

func TestServiceRefusesWithoutSystemd(t *testing.T) {
	control, asked := machine(t, packagedUnit)
	_, serr := control.Status(t.Context())
	for verb, err := range map[string]error{
		"install": control.Install(t.Context()), "uninstall": control.Uninstall(t.Context()),
		"start": control.Control(t.Context(), actionStart), "status": serr,
	} {
		if err == nil || !strings.Contains(err.Error(), "does not run systemd") {
			t.Errorf("%s: %v", verb, err)
		}
	}
	if asked() != "" {
		t.Errorf("systemctl was asked: %s", asked())
	}
}

func TestServiceInstallEnablesThePackagedUnit(t *testing.T) {
	control, asked := machine(t, runningSystemd, packagedUnit)
	if err := control.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := "daemon-reload\nenable azs-agent.service\nreset-failed azs-agent.service\nstart azs-agent.service\n"
	if asked() != want {
		t.Errorf("asked\n%swant\n%s", asked(), want)
	}
	if exists(control.root + ownUnit) {
		t.Error("a second unit was written beside the packaged one")
	}
}

func TestServiceRefusals(t *testing.T) {
	shadowed, _ := machine(t, runningSystemd, packagedUnit, ownUnit)
	if err := shadowed.Install(t.Context()); err == nil || !strings.Contains(err.Error(), "hides the unit") {
		t.Errorf("shadowed: %v", err)
	}
	control, asked := machine(t, runningSystemd)
	if err := control.Control(t.Context(), actionStart); !errors.Is(err, errNotInstalled) {
		t.Errorf("start of nothing: %v", err)
	}
	if err := control.Uninstall(t.Context()); !errors.Is(err, errNotInstalled) {
		t.Errorf("uninstall of nothing: %v", err)
	}
	control.configFile = "/srv/other.yaml"
	if err := control.Install(t.Context()); err == nil || !strings.Contains(err.Error(), "/srv/other.yaml") {
		t.Errorf("another configuration: %v", err)
	}
	control.isRoot = false
	if err := control.Install(t.Context()); err == nil || !strings.Contains(err.Error(), "only root") {
		t.Errorf("without root: %v", err)
	}
	if asked() != "" {
		t.Errorf("systemctl was asked: %s", asked())
	}
}

func TestServiceUninstallStopsFirst(t *testing.T) {
	control, asked := machine(t, runningSystemd, packagedUnit)
	if err := control.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := "stop azs-agent.service\ndisable azs-agent.service\n"; asked() != want {
		t.Errorf("asked\n%swant\n%s", asked(), want)
	}
}

func TestServiceFailureSaysWhatSystemdSaid(t *testing.T) {
	control, _ := machine(t, runningSystemd, packagedUnit)
	if err := control.Control(t.Context(), actionRestart); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("got %v", err)
	}
}

func TestServiceStatusSeesAShadowedUnit(t *testing.T) {
	control, _ := machine(t, runningSystemd, packagedUnit, ownUnit)
	if err := os.WriteFile(control.root+"/show", []byte(show()), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := control.Status(t.Context())
	if err != nil || s.State != stateRunning || !strings.Contains(s.Detail, "hides the unit") {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestUnitFor(t *testing.T) {
	text := unitFor("/usr/local/bin/azs-agent")
	if !strings.Contains(text, "\nExecStart=/usr/local/bin/azs-agent run\n") || strings.Contains(text, packaging.UnitBinary) {
		t.Errorf("got %s", text)
	}
	if strings.Contains(text, "{{") || strings.Contains(text, "}}") {
		t.Error("kardianos/service would take a part of the unit for its template and write an empty file")
	}
	if unitFor(packaging.UnitBinary) != packaging.Unit {
		t.Error("the packaged place changes the unit")
	}
}
