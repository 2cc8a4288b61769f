package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

	"calleridp/keys"
)

func keysInitMaster(_ context.Context, args []string, out io.Writer) error {
	f := flags("keys init-master", "makes the master key of a new deployment", out)
	file := f.String("out", "", "the `file` to make; it must not exist")
	if _, err := parse(f, args); err != nil {
		return err
	}
	if *file == "" {
		return usageError("--out FILE is missing")
	}
	if err := keys.CreateMaster(*file); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "keys: "))
	}
	_, err := fmt.Fprintf(out, "made %s. Keep a copy in another place: without it the store cannot be read.\n", *file)
	return err
}

func keysList(ctx context.Context, args []string, out io.Writer) error {
	f := flags("keys list", "lists the signing keys", out)
	server := operatorFlags(f)
	asJSON := f.Bool("json", false, "write JSON")
	if _, err := parse(f, args); err != nil {
		return err
	}
	return keysAnswer(ctx, server, http.MethodGet, "/v1/keys", *asJSON, out)
}

func keysRotate(ctx context.Context, args []string, out io.Writer) error {
	f := flags("keys rotate", "makes the next signing keys sign, and new next ones", out)
	server := operatorFlags(f)
	asJSON := f.Bool("json", false, "write JSON")
	force := f.Bool("force", false, "even if applications that cache the keys cannot know the next ones yet; they fail until they fetch them again")
	if _, err := parse(f, args); err != nil {
		return err
	}
	return keysAnswer(ctx, server, http.MethodPost, fmt.Sprintf("/v1/keys/rotate?force=%t", *force), *asJSON, out)
}

func keysRemove(ctx context.Context, args []string, out io.Writer) error {
	f := flags("keys remove", "takes a retired signing key out of use before its time, after a theft; what it signed is worth nothing then", out)
	server := operatorFlags(f)
	asJSON := f.Bool("json", false, "write JSON")
	words, err := parse(f, args, "KEY")
	if err != nil {
		return err
	}
	return keysAnswer(ctx, server, http.MethodDelete, "/v1/keys/"+url.PathEscape(words[0]), *asJSON, out)
}

func keysAnswer(ctx context.Context, server operator, method, path string, asJSON bool, out io.Writer) error {
	var listed []keys.Info
	if err := server.call(ctx, method, path, nil, &listed); err != nil {
		return err
	}
	if asJSON {
		return writeJSON(out, listed)
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
