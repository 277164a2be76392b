package packaging

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/azs-edge/azs-edge/config"
)

// need skips a test whose tool is not installed, unless every real part is required.
func need(t *testing.T, tool, install string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err == nil {
		return path
	}
	if os.Getenv("AZS_TEST_REQUIRE") == "1" {
		t.Fatalf("%s is not here: install %s", tool, install)
	}
	t.Skipf("%s is not here: install %s", tool, install)
	return ""
}

// TestUnitHardening holds the unit's exposure, as systemd itself rates it, under 2 of 10.
func TestUnitHardening(t *testing.T) {
	analyze := need(t, "systemd-analyze", "systemd")
	file := t.TempDir() + "/azs-agent.service"
	if err := os.WriteFile(file, []byte(Unit), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), analyze, "--no-pager", "security", "--offline=yes", "--threshold=20", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	m := regexp.MustCompile(`Overall exposure level for azs-agent\.service: ([0-9.]+)`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("no rating in: %s", out)
	}
	level, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil || level >= 2 {
		t.Errorf("exposure %s, want under 2", m[1])
	}
	t.Logf("exposure %.1f", level)
}

// TestUnitRules holds the unit to what was learned the hard way.
func TestUnitRules(t *testing.T) {
	lines := strings.Split(Unit, "\n")
	has := func(want string) bool {
		for _, l := range lines {
			if l == want {
				return true
			}
		}
		return false
	}
	for _, want := range []string{
		"Type=notify", "ExecStart=" + UnitBinary + " run", "User=azs-agent", "Group=azs-agent", "UMask=0027",
		"StateDirectory=azs-agent", "RuntimeDirectory=azs-agent", "ConfigurationDirectory=azs-agent",
		"Restart=always", "RestartSec=2", "RestartPreventExitStatus=78", "StartLimitIntervalSec=0", "WatchdogSec=15", "TimeoutStopSec=20",
		"DevicePolicy=closed", "DeviceAllow=char-188 rw", "DeviceAllow=char-166 rw", "DeviceAllow=char-4 rw",
		"CapabilityBoundingSet=", "NoNewPrivileges=yes", "ProtectSystem=strict", "WantedBy=multi-user.target",
	} {
		if !has(want) {
			t.Errorf("%s is not in the unit", want)
		}
	}
	for _, never := range []string{
		"PrivateDevices=",    // hides every serial port
		"char-ttyUSB",        // resolved once, fails when the driver loads later
		"LoadCredential",     // unknown to systemd 247 in this form
		"{{",                 // kardianos/service would write an empty file
		"network-online",     // the agent must start without a network
		"DynamicUser=yes",    // the ledger's owner must not change
		"RestrictFileSystem", // needs BPF LSM
	} {
		for _, l := range lines {
			if strings.Contains(l, never) && !strings.HasPrefix(l, "#") {
				t.Errorf("%q is in the unit", l)
			}
		}
	}
}

// TestUdevRule finds jumps to nowhere, vendor ids that cannot match, and the wrong name of the file.
func TestUdevRule(t *testing.T) {
	if _, err := os.Stat("linux/65-azs-scanner.rules"); err != nil {
		t.Errorf("the rule must sort after 60-serial.rules: %v", err)
	}
	for _, m := range regexp.MustCompile(`GOTO="([^"]+)"`).FindAllStringSubmatch(UdevRule, -1) {
		if strings.Count(UdevRule, `LABEL="`+m[1]+`"`) != 1 {
			t.Errorf("the label %s is not there once", m[1])
		}
	}
	vendors := regexp.MustCompile(`ATTRS\{idVendor\}=="([^"]+)"`).FindAllStringSubmatch(UdevRule, -1)
	if len(vendors) == 0 {
		t.Error("no vendor is matched")
	}
	for _, m := range vendors {
		for id := range strings.SplitSeq(m[1], "|") {
			if !regexp.MustCompile(`^[0-9a-f]{4}$`).MatchString(id) {
				t.Errorf("%q is not a vendor id as sysfs writes it", id)
			}
		}
	}
	for _, want := range []string{`ENV{ID_MM_DEVICE_IGNORE}="1"`, `SYMLINK+="azs/scanner-$env{ID_SERIAL_SHORT}"`} {
		if !strings.Contains(UdevRule, want) {
			t.Errorf("%s is not in the rule", want)
		}
	}
}

// TestExampleConfig holds the shipped example to the loader.
func TestExampleConfig(t *testing.T) {
	c, err := config.LoadAgent("linux/config.example.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Station.Number != 17 || len(c.Scanners) != 1 || len(c.Cards.Ranges) != 1 || len(c.HQ.Brokers) != 2 {
		t.Errorf("the example is not what it says: %+v", c)
	}
}

// TestScriptsParse finds a broken maintainer script before a station does.
func TestScriptsParse(t *testing.T) {
	sh := need(t, "sh", "a POSIX shell")
	scripts := []string{"build.sh", "testdata/boot.sh", "testdata/lifecycle.sh"}
	entries, err := os.ReadDir("linux/scripts")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		scripts = append(scripts, "linux/scripts/"+e.Name())
	}
	if len(entries) != 6 {
		t.Errorf("%d maintainer scripts, want three for deb and three for rpm", len(entries))
	}
	for _, s := range scripts {
		if out, err := exec.CommandContext(t.Context(), sh, "-n", s).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", s, err, out)
		}
	}
}
