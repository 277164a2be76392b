// Package packaging holds what the operating system must know about azs-agent: the systemd unit, its account and
// folders, and the udev rule for scanners. The packages install these very files, and `azs-agent service install`
// writes them where there is no package, so that the two cannot drift apart.
//
// It promises texts only. Who writes them where is the affair of cmd/azs-agent and of build.sh.
package packaging

import _ "embed"

// Unit is the systemd unit of azs-agent, whose binary it expects at UnitBinary.
//
//go:embed linux/azs-agent.service
var Unit string

// UnitBinary is the binary that Unit starts.
const UnitBinary = "/usr/bin/azs-agent"

// Sysusers declares the account azs-agent, in the format of sysusers.d(5).
//
//go:embed linux/azs-agent.sysusers
var Sysusers string

// Tmpfiles declares the folders of azs-agent, in the format of tmpfiles.d(5).
//
//go:embed linux/azs-agent.tmpfiles
var Tmpfiles string

// UdevRule names scanners /dev/azs/scanner-... and keeps ModemManager away from them.
//
//go:embed linux/65-azs-scanner.rules
var UdevRule string
