// SPDX-License-Identifier: Apache-2.0

// Package operator has the commands with which operators manage the running
// server: client, registration-token, keys, api-key, user, session, grant, limit, status,
// and config show. They are clients of its admin API (package admin), which they reach over a
// Unix socket.
package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"syscall"
	"text/tabwriter"

	"calleridp/cmd/calleridp/command"
	"calleridp/cmd/calleridp/config"
	"calleridp/provider/admin"

	"github.com/spf13/cobra"
)

// defaultSocket is the admin socket of the packaged server.
const defaultSocket = "/var/lib/calleridp/admin.sock"

// request is what a command needs to make one request to the running server and print
// the response.
type request struct {
	socket string
	config *string
	output *string
	out    io.Writer
	errOut io.Writer // for what is not the result
}

// newCommand returns a command that makes requests. The caller adds flags to it.
func newCommand(t command.Text, run func(ctx context.Context, r request, args []string) error) *cobra.Command {
	var r request
	var c *cobra.Command
	c = command.New(t, func(ctx context.Context, args []string, out io.Writer) error {
		r.out, r.errOut = out, c.ErrOrStderr()
		return run(ctx, r, args)
	})
	r.addFlags(c)
	return c
}

// addFlags adds the flags that all of them have.
func (r *request) addFlags(c *cobra.Command) {
	c.Flags().StringVar(&r.socket, "socket", "",
		"admin `socket` of the running server, or CALLERIDP_ADMIN_SOCKET; default that of the configuration, else "+defaultSocket)
	r.config = command.Config(c)
	r.output = command.Output(c)
}

// printResponse writes a response: as JSON if the flag says so, else with text.
func printResponse[T any](r request, response T, text func(io.Writer, T) error) error {
	if *r.output == command.JSON {
		return command.PrintJSON(r.out, response)
	}
	return text(r.out, response)
}

// send makes the request and prints its response.
func send[T any](ctx context.Context, r request, method, path string, in any, text func(io.Writer, T) error) error {
	var response T
	if err := r.call(ctx, method, path, in, &response); err != nil {
		return err
	}
	return printResponse(r, response, text)
}

// collection is what a group of commands is about: all clients, all users.
type collection[T any] struct {
	argument string // "CLIENT_ID", which identifies one
	path     string // "/v1/clients/"
	complete cobra.CompletionFunc
}

// command returns a command about one item. after is the path behind the item's.
func (c collection[T]) command(t command.Text, method, after string, text func(io.Writer, T) error) *cobra.Command {
	t.Use += " " + c.argument
	one := newCommand(t, func(ctx context.Context, r request, args []string) error {
		return send(ctx, r, method, c.path+url.PathEscape(args[0])+after, nil, text)
	})
	if c.complete != nil {
		one.ValidArgsFunction = c.complete
	}
	return one
}

// table writes lines whose cells are separated by tabs, aligned.
func table(out io.Writer, write func(w io.Writer)) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	write(t)
	return t.Flush()
}

// path returns the admin socket: from the flag, or else where the server opens it.
func (r request) path() (string, error) {
	if r.socket != "" {
		return r.socket, nil
	}
	socket, err := config.AdminSocket(*r.config)
	if socket == "" {
		socket = defaultSocket
	}
	return socket, err
}

// refusedError is a request that the server did not carry out.
type refusedError struct {
	status int
	text   string
}

func (e *refusedError) Error() string { return e.text }

// advise adds what the user of a command can do about a conflict.
func advise(err error, advice string) error {
	if refused, ok := errors.AsType[*refusedError](err); ok && refused.status == http.StatusConflict {
		return fmt.Errorf("%w; %s", err, advice)
	}
	return err
}

// call makes one request to the running server, with in as its JSON body unless
// that is nil, and decodes the response into v. Into a slice, it reads all pages of a list.
func (r request) call(ctx context.Context, method, path string, in, v any) error {
	if list := reflect.ValueOf(v).Elem(); list.Kind() == reflect.Slice {
		list.Set(reflect.MakeSlice(list.Type(), 0, 0))
		for next := ""; ; {
			var page struct {
				Items json.RawMessage `json:"items"`
				Next  string          `json:"next"`
			}
			at := path
			if next != "" {
				mark := "?"
				if strings.Contains(path, mark) {
					mark = "&"
				}
				at += mark + "cursor=" + url.QueryEscape(next)
			}
			if err := r.one(ctx, method, at, in, &page); err != nil {
				return err
			}
			items := reflect.New(list.Type())
			if err := json.Unmarshal(page.Items, items.Interface()); err != nil {
				return fmt.Errorf("the server's response has no list: %w", err)
			}
			list.Set(reflect.AppendSlice(list, items.Elem()))
			if next = page.Next; next == "" {
				return nil
			}
		}
	}
	return r.one(ctx, method, path, in, v)
}

// one is call for one response.
func (r request) one(ctx context.Context, method, path string, in, v any) error {
	_, err := r.exchange(ctx, method, path, nil, in, v)
	return err
}

// exchange makes one request with these fields in its header, and returns the header of the
// response.
func (r request) exchange(ctx context.Context, method, path string, header http.Header, in, v any) (http.Header, error) {
	socket, err := r.path()
	if err != nil {
		return nil, err
	}
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://calleridp"+path, body)
	if err != nil {
		return nil, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	maps.Copy(req.Header, header)
	c := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
	response, err := c.Do(req)
	if err != nil {
		return nil, unreachable(socket, err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	if err != nil {
		return nil, fmt.Errorf("the server's response was cut short: %w", err)
	}
	if response.StatusCode >= 400 {
		var problem admin.Problem
		if json.Unmarshal(raw, &problem) != nil || problem.Detail == "" {
			problem.Detail = "the server responded with " + response.Status
		}
		return nil, &refusedError{response.StatusCode, problem.Detail}
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return nil, fmt.Errorf("%s is not the admin socket of a calleridp server: %w", socket, err)
	}
	return response.Header, nil
}

// unreachable says in one line why the server was not reached, and what to do.
func unreachable(socket string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no server runs at %s; start it, or name its socket with --socket or its file with --config", socket)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("this user may not use the socket %s; run the command as the user that runs the server", socket)
	}
	return fmt.Errorf("the server at %s does not respond: %w", socket, err)
}
