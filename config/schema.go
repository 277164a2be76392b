package config

import _ "embed"

//go:embed agent.schema.json
var agentSchema []byte

//go:embed hq.schema.json
var hqSchema []byte

//go:generate go test -run TestSchema -update .

// AgentSchema returns the JSON Schema (draft 2020-12) of azs-agent's file, for editors that complete and check YAML.
// It is made from [Agent] and its comments; defaults are those of Linux.
func AgentSchema() []byte { return append([]byte(nil), agentSchema...) }

// HQSchema returns the JSON Schema (draft 2020-12) of azs-hq's file, as AgentSchema does for azs-agent's.
func HQSchema() []byte { return append([]byte(nil), hqSchema...) }
