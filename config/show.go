package config

import (
	"fmt"
	"time"

	"github.com/goccy/go-yaml"
)

// Show returns a configuration ([Agent] or [HQ], by value) as YAML in the form the loader reads, defaults included.
// There is no secret in it: secrets are named by file.
func Show(c any) ([]byte, error) {
	out, err := yaml.MarshalWithOptions(c, yaml.IndentSequence(true), yaml.CustomMarshaler(func(d time.Duration) ([]byte, error) {
		return []byte(formatDuration(d)), nil
	}))
	if err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	return out, nil
}

// ShowJSON is Show as JSON.
func ShowJSON(c any) ([]byte, error) {
	out, err := Show(c)
	if err != nil {
		return nil, err
	}
	if out, err = yaml.YAMLToJSON(out); err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	return out, nil
}
