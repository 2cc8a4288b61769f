package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"

	"calleridp/keys"
	"calleridp/provider/admin"
)

// defaultSocket is where the packaged server has its admin socket.
const defaultSocket = "/var/lib/calleridp/admin.sock"

// socketFlag names the server that a command talks to.
func socketFlag(f flagSet) *string {
	usual := os.Getenv("CALLERIDP_ADMIN_SOCKET")
	if usual == "" {
		usual = defaultSocket
	}
	return f.String("socket", usual, "admin `socket` of the running server, or CALLERIDP_ADMIN_SOCKET")
}

// call makes one request to the running server, and decodes its answer into v.
func call(ctx context.Context, socket, method, path string, in, v any) error {
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
	c := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	answer, err := c.Do(r)
	if dial := (*net.OpError)(nil); errors.As(err, &dial) && dial.Op == "dial" {
		return fmt.Errorf("no server answers at %s; start it, or name its socket with --socket (%v)", socket, dial.Err)
	}
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode >= 400 {
		var problem admin.Problem
		if json.Unmarshal(raw, &problem) != nil || problem.Error == "" {
			problem.Error = answer.Status
		}
		return errors.New(problem.Error)
	}
	return json.Unmarshal(raw, v)
}

// texts is a flag that may be given several times.
type texts []string

func (t *texts) String() string     { return strings.Join(*t, " ") }
func (t *texts) Set(s string) error { *t = append(*t, s); return nil }

func clientCommand(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: say add, list, show, rotate-secret or remove", errUsage)
	}
	f := flags("client "+args[0], "the applications that may sign people in", out)
	socket := socketFlag(f)
	asJSON := f.Bool("json", false, "write JSON")
	switch args[0] {
	case "add":
		var c admin.Client
		var redirects, logouts, origins texts
		f.StringVar(&c.ID, "id", "", "client_id; default a random one")
		f.StringVar(&c.Name, "name", "", "the name that people see")
		f.BoolVar(&c.Public, "public", false, "it cannot keep a secret: a browser or phone application")
		f.StringVar(&c.IDTokenAlg, "alg", "", "ID tokens are signed with RS256 (default), ES256 or EdDSA")
		f.BoolVar(&c.Pairwise, "pairwise", false, "give it subs of its own")
		f.StringVar(&c.Region, "region", "", "country of national phone numbers, like IN")
		f.Var(&redirects, "redirect-uri", "where people are sent back to; may be repeated")
		f.Var(&logouts, "post-logout-redirect-uri", "the same after signing out; may be repeated")
		f.Var(&origins, "origin", "browser origin that may call the token endpoint; may be repeated")
		if err := parse(f, args[1:]); err != nil {
			return err
		}
		c.RedirectURIs, c.PostLogoutRedirectURIs, c.AllowedOrigins = redirects, logouts, origins
		if err := call(ctx, *socket, http.MethodPost, "/v1/clients", c, &c); err != nil {
			return err
		}
		return writeClient(out, c, *asJSON)
	case "list":
		if err := parse(f, args[1:]); err != nil {
			return err
		}
		var all []admin.Client
		if err := call(ctx, *socket, http.MethodGet, "/v1/clients", nil, &all); err != nil {
			return err
		}
		if *asJSON {
			return json.NewEncoder(out).Encode(all)
		}
		t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "CLIENT ID\tNAME\tKIND\tFROM")
		for _, c := range all {
			kind, from := "confidential", "store"
			if c.Public {
				kind = "public"
			}
			if c.FromConfig {
				from = "config file"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", c.ID, c.Name, kind, from)
		}
		return t.Flush()
	case "show", "rotate-secret", "remove":
		id, rest := "", args[1:]
		if len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
			id, rest = rest[0], rest[1:]
		}
		if err := parse(f, rest); err != nil {
			return err
		}
		if id == "" {
			return fmt.Errorf("%w: say which: calleridp client %s CLIENT_ID", errUsage, args[0])
		}
		method, path := http.MethodGet, "/v1/clients/"+url.PathEscape(id)
		switch args[0] {
		case "rotate-secret":
			method, path = http.MethodPost, path+"/secret"
		case "remove":
			method = http.MethodDelete
		}
		var c admin.Client
		if err := call(ctx, *socket, method, path, nil, &c); err != nil {
			return err
		}
		if args[0] == "remove" {
			_, err := fmt.Fprintf(out, "client %s is removed; its tokens are void\n", id)
			return err
		}
		return writeClient(out, c, *asJSON)
	}
	return fmt.Errorf("%w: there is no client %s; say add, list, show, rotate-secret or remove", errUsage, args[0])
}

func writeClient(out io.Writer, c admin.Client, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(c)
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, value)
		}
	}
	row("client_id", c.ID)
	if c.Secret != "" {
		row("client_secret", c.Secret+"  (shown this once)")
	}
	row("name", c.Name)
	row("redirect_uris", strings.Join(c.RedirectURIs, " "))
	row("post_logout_redirect_uris", strings.Join(c.PostLogoutRedirectURIs, " "))
	row("allowed_origins", strings.Join(c.AllowedOrigins, " "))
	row("scopes", strings.Join(c.Scopes, " "))
	row("signed with", c.IDTokenAlg)
	row("region", c.Region)
	return t.Flush()
}

func keysCommand(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: say list, rotate or init-master", errUsage)
	}
	f := flags("keys "+args[0], "master key and signing keys", out)
	var listed []keys.Info
	switch args[0] {
	case "init-master":
		file := f.String("out", "", "the `file` to make")
		if err := parse(f, args[1:]); err != nil {
			return err
		}
		if *file == "" {
			return fmt.Errorf("%w: --out FILE is missing", errUsage)
		}
		if err := keys.CreateMaster(*file); err != nil {
			return err
		}
		_, err := fmt.Fprintf(out, "made %s. Keep a copy in another place: without it the store cannot be read.\n", *file)
		return err
	case "list":
		socket := socketFlag(f)
		if err := parse(f, args[1:]); err != nil {
			return err
		}
		if err := call(ctx, *socket, http.MethodGet, "/v1/keys", nil, &listed); err != nil {
			return err
		}
	case "rotate":
		socket := socketFlag(f)
		force := f.Bool("force", false, "even if clients may not know the next key yet")
		if err := parse(f, args[1:]); err != nil {
			return err
		}
		if err := call(ctx, *socket, http.MethodPost, fmt.Sprintf("/v1/keys/rotate?force=%t", *force), nil, &listed); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%w: there is no keys %s; say list, rotate or init-master", errUsage, args[0])
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KEY\tALGORITHM\tSTATE\tSINCE")
	for _, k := range listed {
		since := k.Created
		switch k.State {
		case keys.Active:
			since = k.Activated
		case keys.Retired:
			since = k.Retired
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", k.ID, k.Algorithm, k.State, since.UTC().Format("2006-01-02 15:04 MST"))
	}
	return t.Flush()
}
