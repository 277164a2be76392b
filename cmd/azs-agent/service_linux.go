package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kardianos/service"
	"golang.org/x/sys/unix"

	"github.com/azs-edge/azs-edge/config"
	"github.com/azs-edge/azs-edge/packaging"
)

// Where systemd looks for units. kardianos/service writes to ownUnit; the package installs packagedUnit.
const (
	ownUnit      = "/etc/systemd/system/azs-agent.service"
	packagedUnit = "/usr/lib/systemd/system/azs-agent.service"
	ownUdevRule  = "/etc/udev/rules.d/65-azs-scanner.rules"
)

// systemdControl is serviceControl on systemd.
type systemdControl struct {
	root       string // "" outside tests: where /etc, /usr and /run are
	configFile string
	isRoot     bool
}

var _ serviceControl = (*systemdControl)(nil)

func newServiceControl(configFile string) (serviceControl, error) {
	return &systemdControl{configFile: configFile, isRoot: os.Geteuid() == 0}, nil
}

// requireSystemd refuses other init systems: there kardianos/service would write a script of its own, without the
// watchdog and the hardening of our unit.
func (s *systemdControl) requireSystemd() error {
	if _, err := os.Stat(s.root + "/run/systemd/system"); err != nil {
		return withHint(errNoManager, "let your own supervisor start `azs-agent run`, and restart it unless it ends with 78")
	}
	return nil
}

func (s *systemdControl) Install(ctx context.Context) error {
	if err := s.requireSystemd(); err != nil {
		return err
	}
	if err := s.requireRoot(); err != nil {
		return err
	}
	if s.configFile != config.AgentPath() {
		return withHint(fmt.Errorf("the service reads %s, not %s", config.AgentPath(), s.configFile), "move the configuration there")
	}
	if !exists(s.root + packagedUnit) {
		if err := s.installOwn(ctx); err != nil {
			return err
		}
		return s.Control(ctx, actionStart)
	}
	if exists(s.root + ownUnit) {
		return withHint(fmt.Errorf("%s hides the unit of the package", ownUnit), "remove it with `rm "+ownUnit+" && systemctl daemon-reload`, then run this again")
	}
	if _, err := run(ctx, "", "systemctl", "daemon-reload"); err != nil {
		return err
	}
	_, err := run(ctx, "", "systemctl", "enable", serviceName+".service")
	if err != nil {
		return err
	}
	return s.Control(ctx, actionStart)
}

// installOwn installs the service without the package: account and folders first, because the unit cannot start
// without them; then the udev rule; then the unit.
func (s *systemdControl) installOwn(ctx context.Context) error {
	binary, err := serviceBinary()
	if err != nil {
		return err
	}
	if _, err := run(ctx, packaging.Sysusers, "systemd-sysusers", "-"); err != nil {
		return err
	}
	if _, err := run(ctx, packaging.Tmpfiles, "systemd-tmpfiles", "--create", "-"); err != nil {
		return err
	}
	if err := s.shareConfig(); err != nil {
		return err
	}
	if !exists(s.root + ownUdevRule) {
		if err := os.MkdirAll(filepath.Dir(s.root+ownUdevRule), 0o755); err != nil {
			return fmt.Errorf("installing the udev rule: %w", err)
		}
		if err := writeNewFile(s.root+ownUdevRule, []byte(packaging.UdevRule), 0o644); err != nil {
			return fmt.Errorf("installing the udev rule: %w", err)
		}
	}
	if _, err := exec.LookPath("udevadm"); err == nil {
		// Without a udev daemon (a container) there is nothing to reload, and no scanner to name either.
		_, _ = run(ctx, "", "udevadm", "control", "--reload")
		_, _ = run(ctx, "", "udevadm", "trigger", "--subsystem-match=tty", "--subsystem-match=usb")
	}
	return s.installUnit(unitFor(binary))
}

// installUnit writes our unit through kardianos/service. That is not atomic and leaves an empty file behind when it
// fails, so what it wrote is compared and, if it is not our text, removed.
func (s *systemdControl) installUnit(text string) error {
	if old, err := os.ReadFile(ownUnit); err == nil && string(old) == text {
		return nil
	} else if err == nil {
		return withHint(fmt.Errorf("%s is there already, with other content", ownUnit), "run `azs-agent service uninstall` first")
	}
	svc, err := kardianosService(text)
	if err != nil {
		return err
	}
	err = svc.Install()
	written, rerr := os.ReadFile(ownUnit)
	if err == nil && rerr == nil && string(written) == text {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%s was not written as it should be", ownUnit)
	}
	if rerr := os.Remove(ownUnit); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	return fmt.Errorf("installing the unit: %w", err)
}

// shareConfig lets the daemon's account read a configuration that was written before the account existed.
func (s *systemdControl) shareConfig() error {
	for _, path := range []string{s.configFile, filepath.Join(filepath.Dir(s.configFile), "api.token")} {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("letting the service read its configuration: %w", err)
		}
		if err := errors.Join(giveToAgentGroup(f), f.Close()); err != nil {
			return fmt.Errorf("letting the service read its configuration: %w", err)
		}
	}
	return nil
}

func (s *systemdControl) Uninstall(ctx context.Context) error {
	if err := s.requireSystemd(); err != nil {
		return err
	}
	if err := s.requireRoot(); err != nil {
		return err
	}
	own, packaged := exists(s.root+ownUnit), exists(s.root+packagedUnit)
	if !own && !packaged {
		return errNotInstalled
	}
	// First, because removing the unit would leave the process.
	if _, err := run(ctx, "", "systemctl", "stop", serviceName+".service"); err != nil {
		return err
	}
	if !own {
		_, err := run(ctx, "", "systemctl", "disable", serviceName+".service")
		return err
	}
	svc, err := kardianosService("")
	if err != nil {
		return err
	}
	if err := svc.Uninstall(); err != nil {
		return fmt.Errorf("removing the unit: %w", err)
	}
	if err := os.Remove(s.root + ownUdevRule); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the udev rule: %w", err)
	}
	return nil
}

func (s *systemdControl) Control(ctx context.Context, action serviceAction) error {
	if err := s.requireSystemd(); err != nil {
		return err
	}
	if err := s.requireRoot(); err != nil {
		return err
	}
	if !exists(s.root+ownUnit) && !exists(s.root+packagedUnit) {
		return errNotInstalled
	}
	if action != actionStop {
		// A unit that gave up stays failed until it is reset; one that did not is not harmed.
		_, _ = run(ctx, "", "systemctl", "reset-failed", serviceName+".service")
	}
	if _, err := run(ctx, "", "systemctl", string(action), serviceName+".service"); err != nil {
		return withHint(err, "`azs-agent service status` and `journalctl -u azs-agent -n 50` say why")
	}
	return nil
}

// statusProperties is what Status asks systemd for.
const statusProperties = "LoadState,ActiveState,SubState,UnitFileState,FragmentPath,MainPID,NRestarts,Result,ExecMainStatus,ActiveEnterTimestampMonotonic"

func (s *systemdControl) Status(ctx context.Context) (serviceStatus, error) {
	if err := s.requireSystemd(); err != nil {
		return serviceStatus{}, err
	}
	out, err := run(ctx, "", "systemctl", "show", "-p", statusProperties, serviceName+".service")
	if err != nil {
		return serviceStatus{}, err
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return serviceStatus{}, fmt.Errorf("reading the clock: %w", err)
	}
	st := judge(out, time.Duration(now.Nano()))
	if st.State != stateAbsent && exists(s.root+ownUnit) && exists(s.root+packagedUnit) {
		st.Detail = strings.TrimSpace(st.Detail + "\n" + ownUnit + " hides the unit of the package")
		st.Hint = "rm " + ownUnit + " && systemctl daemon-reload && azs-agent service install"
	}
	return st, nil
}

// run runs a command of the system with stdin, and returns what it printed. Its error carries what the command said.
func run(ctx context.Context, stdin, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Second
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		said := strings.TrimSpace(stderr.String())
		if said != "" {
			said = ": " + said
		}
		return stdout.String(), fmt.Errorf("%s %s: %w%s", name, strings.Join(args, " "), err, said)
	}
	return stdout.String(), nil
}

// kardianosService is kardianos/service with our unit's text in place of its own.
func kardianosService(unit string) (service.Service, error) {
	svc, err := service.New(nil, &service.Config{Name: serviceName, Option: service.KeyValue{"SystemdScript": unit}})
	if err != nil {
		return nil, fmt.Errorf("talking to the service manager: %w", err)
	}
	return svc, nil
}

// unitFor is the unit for a program that lies elsewhere than the package puts it.
func unitFor(binary string) string {
	return strings.Replace(packaging.Unit, "ExecStart="+packaging.UnitBinary+" ", "ExecStart="+binary+" ", 1)
}

// serviceBinary is this program, if the service will be able to see it: the unit hides home folders and /tmp.
func serviceBinary() (string, error) {
	binary, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	if binary, err = filepath.EvalSymlinks(binary); err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	hint := "copy it: install -m 755 " + binary + " /usr/local/bin/azs-agent; then run that one"
	for _, hidden := range []string{"/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/"} {
		if strings.HasPrefix(binary, hidden) {
			return "", withHint(fmt.Errorf("the service cannot see %s", binary), hint)
		}
	}
	if strings.ContainsAny(binary, " \t\"'\\%$;{}") {
		return "", withHint(fmt.Errorf("the path %s has characters that a unit cannot hold", binary), hint)
	}
	return binary, nil
}

func (s *systemdControl) requireRoot() error {
	if !s.isRoot {
		return withHint(errors.New("only root can change services"), "run it again with sudo")
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
