// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"calleridp/cmd/calleridp/command"
	"calleridp/provider/admin"

	"github.com/spf13/cobra"
)

var clients = collection[admin.Client]{"CLIENT_ID", "/v1/clients/", completeClient}

// Client returns the command `calleridp client`.
func Client() *cobra.Command {
	return command.Group(command.Text{Use: "client", Short: "manage the applications that may sign users in"},
		clientAdd(),
		newCommand(command.Text{
			Use:     "list",
			Short:   "list the applications",
			Example: "calleridp client list",
		}, func(ctx context.Context, r request, _ []string) error {
			return send(ctx, r, http.MethodGet, "/v1/clients", nil, writeClients)
		}),
		clientEdit(),
		clientShow(),
		clientRotateSecret(),
		clients.command(command.Text{
			Use:     "remove",
			Short:   "remove an application and revoke its tokens",
			Example: "calleridp client remove shop",
		}, http.MethodDelete, "", writeRemovedClient),
	)
}

func clientShow() *cobra.Command {
	var settings *string
	c := newCommand(command.Text{
		Use:   "show CLIENT_ID",
		Short: "show an application, or the settings of a product that is the application",
		Example: `calleridp client show shop
calleridp client show wiki --settings oauth2-proxy`,
	}, func(ctx context.Context, r request, args []string) error {
		var c admin.Client
		if err := r.call(ctx, http.MethodGet, clients.path+url.PathEscape(args[0]), nil, &c); err != nil {
			return err
		}
		return printClient(ctx, r, c, *settings, "")
	})
	settings = settingsFlag(c)
	c.ValidArgsFunction = completeClient
	return c
}

func clientRotateSecret() *cobra.Command {
	var settings, file *string
	c := newCommand(command.Text{
		Use:   "rotate-secret CLIENT_ID",
		Short: "give an application a new secret, shown once; the previous one stays valid until the next rotation",
		Example: `calleridp client rotate-secret shop
calleridp client rotate-secret shop --secret-file /etc/shop/client.secret`,
	}, func(ctx context.Context, r request, args []string) error {
		path := clients.path + url.PathEscape(args[0])
		if *settings != "" { // a client that does not suit keeps its secret
			var c admin.Client
			if err := r.call(ctx, http.MethodGet, path, nil, &c); err != nil {
				return err
			}
			if err := checkSettings(r, *settings, c); err != nil {
				return err
			}
		}
		return withSecret(ctx, r, path+"/secret", nil, *settings, *file, true)
	})
	settings = settingsFlag(c)
	file = secretFlag(c, "a file that exists is replaced")
	c.ValidArgsFunction = completeClient
	return c
}

// withSecret makes a request whose response has a client with a new secret, and prints it.
// The secret goes to file, if that is not empty, else to the output.
func withSecret(ctx context.Context, r request, path string, in any, settings, file string, replace bool) error {
	secret, err := openSecretFile(file, replace)
	if err != nil {
		return err
	}
	defer secret.close()
	var c admin.Client
	if err := r.call(ctx, http.MethodPost, path, in, &c); err != nil {
		return err
	}
	if file != "" && c.Secret != "" {
		if err := secret.write(c.Secret); err != nil {
			return err
		}
		c.Secret = ""
		fmt.Fprintf(r.errOut, "The secret is in %s, readable by this user only.\n", secret.path)
	}
	return printClient(ctx, r, c, settings, secret.path)
}

// printClient prints a client, or the settings of a product for it.
func printClient(ctx context.Context, r request, c admin.Client, settings, secretFile string) error {
	if settings == "" {
		return printResponse(r, c, writeClient)
	}
	if err := checkSettings(r, settings, c); err != nil {
		return err
	}
	return printSettings(ctx, r, settings, c, secretFile)
}

func clientAdd() *cobra.Command {
	var id string
	var flags clientFlags
	var settings, file *string
	cmd := newCommand(command.Text{
		Use:   "add",
		Short: "register an application; its secret is shown once",
		Example: `calleridp client add --name 'My shop' --redirect-uri https://shop.example.com/callback
calleridp client add --name Wiki --redirect-uri https://wiki.example.com/oauth2/callback --settings oauth2-proxy`,
	}, func(ctx context.Context, r request, _ []string) error {
		c, err := flags.client()
		switch {
		case c.Name == "":
			return command.Usagef("missing --name NAME; users see it when they sign in")
		case c.Public && *file != "":
			return command.Usagef("--secret-file %s: a public client has no secret; leave it or --public out", *file)
		case len(c.RedirectURIs) == 0 && !c.Native && !c.DeviceFlow:
			return command.Usagef("missing --redirect-uri URI; the application's documentation names it")
		case err != nil:
			return err
		}
		c.ID = id
		if err := checkSettings(r, *settings, c); err != nil {
			return err
		}
		return withSecret(ctx, r, "/v1/clients", c, *settings, *file, false)
	})
	cmd.Flags().StringVar(&id, "id", "", "`client_id`; default a random one")
	flags.define(cmd)
	settings = settingsFlag(cmd)
	file = secretFlag(cmd, "it must not exist")
	return cmd
}

func writeClients(out io.Writer, all []admin.Client) error {
	return table(out, func(w io.Writer) {
		fmt.Fprintln(w, "CLIENT ID\tNAME\tKIND\tFROM")
		for _, c := range all {
			from := "client add"
			switch {
			case c.FromConfig:
				from = "configuration file"
			case c.Registered:
				from = "registration"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.ID, c.Name, kindOf(c), from)
		}
	})
}

func writeRemovedClient(out io.Writer, c admin.Client) error {
	_, err := fmt.Fprintf(out, "client %s (%s) is removed; its tokens are revoked\n", c.ID, c.Name)
	return err
}

func kindOf(c admin.Client) string {
	if c.Public {
		return "public"
	}
	return "confidential"
}

func writeClient(out io.Writer, c admin.Client) error {
	flag := func(set bool) string {
		if set {
			return "true"
		}
		return ""
	}
	maxAge := ""
	if c.DefaultMaxAge != nil {
		maxAge = strconv.FormatInt(*c.DefaultMaxAge, 10)
	}
	err := table(out, func(w io.Writer) {
		for _, row := range [][2]string{
			{"client_id", c.ID},
			{"client_secret", c.Secret},
			{"name", c.Name},
			{"kind", kindOf(c)},
			{"token_endpoint_auth_method", c.AuthMethod},
			{"token_endpoint_auth_signing_alg", c.AuthAlg},
			{"jwks", string(c.Keys)},
			{"jwks_uri", c.KeysURI},
			{"native", flag(c.Native)},
			{"redirect_uris", strings.Join(c.RedirectURIs, " ")},
			{"post_logout_redirect_uris", strings.Join(c.PostLogoutRedirectURIs, " ")},
			{"frontchannel_logout_uri", c.FrontChannelLogoutURI},
			{"frontchannel_logout_session_required", flag(c.FrontChannelSession)},
			{"backchannel_logout_uri", c.BackchannelURI},
			{"backchannel_logout_session_required", flag(c.BackchannelSession)},
			{"allowed_origins", strings.Join(c.AllowedOrigins, " ")},
			{"response_types", strings.Join(c.ResponseTypes, ", ")},
			{"scope", c.Scope},
			{"default_scope", c.DefaultScope},
			{"id_token_signed_response_alg", c.IDTokenAlg},
			{"id_token_encrypted_response_alg", c.IDTokenEncryptionAlg},
			{"id_token_encrypted_response_enc", c.IDTokenEncryptionEnc},
			{"userinfo_signed_response_alg", c.UserinfoAlg},
			{"userinfo_encrypted_response_alg", c.UserinfoEncryptionAlg},
			{"userinfo_encrypted_response_enc", c.UserinfoEncryptionEnc},
			{"request_object_signing_alg", c.RequestObjectAlg},
			{"require_signed_request_object", flag(c.SignedRequests)},
			{"request_uris", strings.Join(c.RequestURIs, " ")},
			{"subject_type", c.SubjectType},
			{"sector_host", c.SectorHost},
			{"consent", c.Consent},
			{"scope_claims", c.ScopeClaims},
			{"device_flow", flag(c.DeviceFlow)},
			{"signals", flag(c.Signals)},
			{"initiate_login_uri", c.InitiateLoginURI},
			{"default_acr_values", strings.Join(c.DefaultACR, " ")},
			{"region", c.Region},
			{"countries", strings.Join(c.Countries, " ")},
			{"truecaller_app", c.TruecallerApp},
			{"default_max_age", maxAge},
			{"client_uri", c.URI},
			{"logo_uri", c.LogoURI},
			{"tos_uri", c.TOSURI},
			{"policy_uri", c.PolicyURI},
			{"dangerously_without_pkce", flag(c.WithoutPKCE)},
		} {
			if row[1] != "" {
				fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
			}
		}
	})
	writeNotes(out, c)
	return err
}
