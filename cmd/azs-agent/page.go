package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/config"
)

// pageCode is what `page --json` prints.
type pageCode struct {
	URL     string    `json:"url"`
	Code    string    `json:"code"`
	Expires time.Time `json:"expires"`
}

func newPageCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "page",
		Short: "Make a code that signs the cashier's page in",
		Long: `Asks the running agent for a code that signs a browser on this machine in to the cashier's page, once, within five
minutes, and prints the page's address with it. A code made before is void then.`,
		Example: "  azs-agent page\n  azs-agent page --json | jq -r .url",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			raw, err := askAgent(cmd.Context(), c, http.MethodPost, "/v1/session/code")
			if err != nil {
				return err
			}
			var p pageCode
			if err := json.Unmarshal(raw, &p); err != nil || p.Code == "" {
				return fmt.Errorf("the agent's answer is not understood: %.80q", raw)
			}
			p.URL = "http://" + c.API.Listen + "/#code=" + p.Code
			if asJSON {
				return printJSON(cmd, p)
			}
			cmd.Printf("%s\nor type the code %s at http://%s/ until %s\n", p.URL, p.Code, c.API.Listen, p.Expires.Local().Format(time.TimeOnly))
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// askAgent calls the API of the running agent on this machine with its token, and returns the answer's body.
func askAgent(ctx context.Context, c config.Agent, method, path string) (body []byte, err error) {
	token, err := config.ReadSecret(c.API.TokenFile)
	if err != nil {
		return nil, withHint(err, "run it as root, or as a member of the group azs-agent")
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.API.Listen+path, nil)
	if err != nil {
		return nil, fmt.Errorf("ask the agent: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, withHint(fmt.Errorf("ask the agent: %w", err), "is it running? `azs-agent service status` says; `azs-agent service start` starts it")
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(io.LimitReader(resp.Body, 1<<20)); err != nil {
		return nil, fmt.Errorf("ask the agent: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, withHint(fmt.Errorf("ask the agent: it answered %s", resp.Status), "does the agent run with this very configuration? `azs-agent service restart` makes sure")
	}
	return body, nil
}
