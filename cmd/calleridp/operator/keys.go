package operator

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"calleridp/cmd/calleridp/command"
	"calleridp/keys"
)

// Keys is the command `calleridp keys`.
var Keys = command.Group("keys", map[string]command.Func{
	"init-master": keysInitMaster,
	"list":        keysList,
	"rotate":      keysRotate,
	"remove":      keysRemove,
})

func keysInitMaster(_ context.Context, args []string, out io.Writer) error {
	f := command.New("keys init-master", "create the master key of a new deployment", out)
	file := f.String("out", "", "`file` to create; it must not exist")
	if _, err := f.Arguments(args); err != nil {
		return err
	}
	if *file == "" {
		return command.Usagef("missing --out FILE")
	}
	if err := keys.CreateMaster(*file); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "Created %s. Keep a copy in another place: without it the store cannot be read.\n", *file)
	return err
}

func keysList(ctx context.Context, args []string, out io.Writer) error {
	f := newRequest("keys list", "list the signing keys", out)
	if _, err := f.Arguments(args); err != nil {
		return err
	}
	return send(ctx, f, http.MethodGet, "/v1/keys", nil, writeKeys)
}

func keysRotate(ctx context.Context, args []string, out io.Writer) error {
	f := newRequest("keys rotate", "activate the next signing keys and generate successors", out)
	force := f.Bool("force", false, "rotate even if clients that cache the keys cannot know the next ones yet; they fail until they fetch them again")
	alg := f.String("alg", "", "`algorithm` whose keys to rotate, like RS256; default all")
	if _, err := f.Arguments(args); err != nil {
		return err
	}
	query := url.Values{"force": {strconv.FormatBool(*force)}, "alg": {*alg}}
	err := send(ctx, f, http.MethodPost, "/v1/keys/rotate?"+query.Encode(), nil, writeKeys)
	return advise(err, "use --force to rotate now")
}

func keysRemove(ctx context.Context, args []string, out io.Writer) error {
	f := newRequest("keys remove", "remove a retired signing key early, after a theft; tokens that it signed become invalid", out)
	arguments, err := f.Arguments(args, "KEY")
	if err != nil {
		return err
	}
	err = send(ctx, f, http.MethodDelete, "/v1/keys/"+url.PathEscape(arguments[0]), nil, writeKeys)
	return advise(err, "use calleridp keys rotate --force")
}

func writeKeys(out io.Writer, listed []keys.Info) error {
	return table(out, func(w io.Writer) {
		fmt.Fprintln(w, "KEY\tALGORITHM\tSTATE\tSINCE")
		for _, k := range listed {
			since := k.Created
			switch k.State {
			case keys.Active:
				since = k.Activated
			case keys.Retired:
				since = k.Retired
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.ID, k.Algorithm, k.State, minute(since))
		}
	})
}
