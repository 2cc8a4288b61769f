package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"syscall"

	"calleridp/provider/admin"
)

// defaultSocket is where the packaged server has its admin socket.
const defaultSocket = "/var/lib/calleridp/admin.sock"

// operator reaches the running server.
type operator struct{ socket, config *string }

// operatorFlags are how a command finds the running server.
func operatorFlags(f flagSet) operator {
	return operator{
		socket: f.String("socket", "", "admin `socket` of the running server, or CALLERIDP_ADMIN_SOCKET; default that of the configuration, and without one "+defaultSocket),
		config: configFlag(f),
	}
}

// path is the admin socket: as the flag says, or as the server finds it.
func (o operator) path() (string, error) {
	if *o.socket != "" {
		return *o.socket, nil
	}
	var c Config
	d := &decoder{where: map[string]string{}}
	if *o.config != "" {
		if err := d.readDocument(*o.config, "", &c); err != nil {
			return "", err
		}
	}
	d.fromEnvironment(&c, os.LookupEnv)
	if c.DataDir == "" && c.AdminSocket == "" {
		return defaultSocket, nil
	}
	defaults(&c)
	return c.AdminSocket, nil
}

// call makes one request to the running server, and decodes its answer into v.
func (o operator) call(ctx context.Context, method, path string, in, v any) error {
	socket, err := o.path()
	if err != nil {
		return err
	}
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://calleridp"+path, body)
	if err != nil {
		return err
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	answer, err := c.Do(r)
	if err != nil {
		return unreachable(socket, err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("the server's answer was cut short: %w", err)
	}
	if answer.StatusCode >= 400 {
		var problem admin.Problem
		if json.Unmarshal(raw, &problem) != nil || problem.Error == "" {
			problem.Error = "the server answered " + answer.Status
		}
		return errors.New(problem.Error)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("the answer at %s is not a calleridp server's: %w", socket, err)
	}
	return nil
}

// unreachable says in one line why the server was not reached, and what to do.
func unreachable(socket string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no server runs at %s; start it, or name its socket with --socket or its file with --config", socket)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("this user may not talk to the server at %s; do it as the user that runs it", socket)
	}
	return fmt.Errorf("the server at %s does not answer: %w", socket, err)
}
