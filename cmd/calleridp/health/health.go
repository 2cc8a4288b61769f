// SPDX-License-Identifier: Apache-2.0

// Package health has the command `calleridp health`: the health check of containers whose
// image has no other program that could ask.
package health

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"calleridp/cmd/calleridp/command"
	"calleridp/cmd/calleridp/config"
	"calleridp/cmd/calleridp/serve"

	"github.com/spf13/cobra"
)

// Command returns the command `calleridp health`.
func Command() *cobra.Command {
	var file *string
	var live bool
	var within time.Duration
	c := command.New(command.Text{
		Use:   "health",
		Short: "report whether the server on this machine is ready, for container health checks",
		Long: `It requests /readyz at the configured listener. The exit status is 0 while the server can do its
work, else 1. With --live it requests /healthz, which succeeds as long as the process responds.
Of the configuration it reads only listen and tls.`,
		Example: `calleridp health --config /etc/calleridp/calleridp.yaml
calleridp health --live`,
	}, func(ctx context.Context, _ []string, out io.Writer) error {
		l, err := config.ReadListener(*file)
		if err != nil {
			return err
		}
		path := serve.PathReady
		if live {
			path = serve.PathHealth
		}
		if err := Ask(ctx, l, path, within); err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, "ok")
		return err
	})
	c.Flags().BoolVar(&live, "live", false, "check only that the process responds, not that it is ready")
	c.Flags().DurationVar(&within, "timeout", 3*time.Second, "`time` to wait for the response")
	file = command.Config(c)
	return c
}

// Ask returns nil if the server at a listener of this machine responds with 200 at path.
func Ask(ctx context.Context, l config.Listener, path string, within time.Duration) error {
	host, port, err := net.SplitHostPort(l.Address)
	if err != nil {
		return fmt.Errorf("listen: %q is not an address like :8443 or 127.0.0.1:8080", l.Address)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	scheme := "http"
	if l.TLS {
		scheme = "https"
	}
	ctx, done := context.WithTimeout(ctx, within)
	defer done()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+path, nil)
	if err != nil {
		return err
	}
	client := http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true,
			// The certificate is for the issuer's host, and this is another name of the same
			// machine. Nothing secret is sent, and nothing but the status is believed. The
			// issuer's name chooses the certificate, as it does for browsers.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: l.Host, MinVersion: tls.VersionTLS12},
		},
	}
	response, err := client.Do(r)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err
	}
	if err != nil {
		return fmt.Errorf("no server responds at %s: %w", l.Address, err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the server at %s responded to %s with status %d", l.Address, path, response.StatusCode)
	}
	return nil
}
