package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"calleridp/provider/admin"
)

// texts is a flag that may be given several times.
type texts []string

func (t *texts) String() string     { return strings.Join(*t, " ") }
func (t *texts) Set(s string) error { *t = append(*t, s); return nil }

func clientAdd(ctx context.Context, args []string, out io.Writer) error {
	f := flags("client add", "registers an application; its secret is shown once", out)
	server := operatorFlags(f)
	asJSON := f.Bool("json", false, "write JSON")
	var c admin.Client
	var redirects, logouts, origins, scopes, countries texts
	var maxAge time.Duration
	var pairwise bool
	f.StringVar(&c.ID, "id", "", "`client_id`; default a random one")
	f.StringVar(&c.Name, "name", "", "the `name` that people see")
	f.Var(&redirects, "redirect-uri", "`address` to which people are sent back; may be repeated")
	f.BoolVar(&c.Public, "public", false, "it cannot keep a secret: a browser or phone application")
	f.BoolVar(&c.Native, "native", false, "it is an Android application with Truecaller's SDK, and brings the SDK's codes to the token endpoint")
	f.Var(&logouts, "post-logout-redirect-uri", "`address` to which people are sent after signing out; may be repeated")
	f.Var(&origins, "origin", "browser `origin` that may call the token endpoint and userinfo; may be repeated")
	f.Var(&scopes, "scope", "a `scope` it may ask for; may be repeated; default all")
	f.StringVar(&c.IDTokenAlg, "alg", "", "`algorithm` of its ID tokens: RS256 (default), ES256 or EdDSA")
	f.BoolVar(&pairwise, "pairwise", false, "give it subs of its own")
	f.StringVar(&c.SectorHost, "sector-host", "", "`host` whose clients share pairwise subs; default that of the redirect URIs")
	f.StringVar(&c.Consent, "consent", "none", "`when` people are asked what it may have: none, remember (once, and for more) or always")
	f.StringVar(&c.Region, "region", "", "`country` of national phone numbers, like IN; default the deployment's")
	f.Var(&countries, "country", "a `country` at the top of the list, like IN; may be repeated; default the deployment's")
	f.StringVar(&c.TruecallerApp, "truecaller-app", "", "`id` of the Truecaller app that asks its people; default that of truecaller in the configuration")
	f.DurationVar(&maxAge, "default-max-age", 0, "how old a sign-in may be when a request does not say")
	f.StringVar(&c.URI, "uri", "", "the application's home `page`")
	f.StringVar(&c.LogoURI, "logo-uri", "", "`address` of its logo")
	f.StringVar(&c.TOSURI, "tos-uri", "", "`address` of its terms")
	f.StringVar(&c.Colour, "colour", "", "accent `colour` of the pages on the way to it, like #0066cc")
	f.StringVar(&c.ColourDark, "colour-dark", "", "the same in the dark theme; default made of --colour")
	f.StringVar(&c.PolicyURI, "policy-uri", "", "`address` of its privacy policy")
	f.BoolVar(&c.WithoutPKCE, "dangerously-without-pkce", false, "excuse an old confidential client from PKCE; codes stolen on their way to it can be used")
	if _, err := parse(f, args); err != nil {
		return err
	}
	switch {
	case c.Name == "":
		return usageError("--name NAME is missing; people see it when they sign in")
	case len(redirects) == 0 && !c.Native:
		return usageError("--redirect-uri ADDRESS is missing; it is in the application's own documentation")
	}
	c.RedirectURIs, c.PostLogoutRedirectURIs, c.AllowedOrigins = redirects, logouts, origins
	c.Countries = countries
	c.Scope = strings.Join(scopes, " ")
	if pairwise {
		c.SubjectType = "pairwise"
	}
	if maxAge > 0 {
		seconds := int64(maxAge / time.Second)
		c.DefaultMaxAge = &seconds
	}
	var added admin.Client
	if err := server.call(ctx, http.MethodPost, "/v1/clients", c, &added); err != nil {
		return err
	}
	return writeClient(out, added, *asJSON)
}

func clientList(ctx context.Context, args []string, out io.Writer) error {
	f := flags("client list", "lists the applications", out)
	server := operatorFlags(f)
	asJSON := f.Bool("json", false, "write JSON")
	if _, err := parse(f, args); err != nil {
		return err
	}
	var all []admin.Client
	if err := server.call(ctx, http.MethodGet, "/v1/clients", nil, &all); err != nil {
		return err
	}
	if *asJSON {
		return writeJSON(out, all)
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CLIENT ID\tNAME\tKIND\tFROM")
	for _, c := range all {
		from := "client add"
		if c.FromConfig {
			from = "configuration file"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", c.ID, c.Name, kindOf(c), from)
	}
	return t.Flush()
}

func clientShow(ctx context.Context, args []string, out io.Writer) error {
	return clientOne(ctx, "show", "shows an application", http.MethodGet, "", args, out, writeClient)
}

func clientRotateSecret(ctx context.Context, args []string, out io.Writer) error {
	about := "gives an application a new secret, shown once; the one before stays good until the next rotation"
	return clientOne(ctx, "rotate-secret", about, http.MethodPost, "/secret", args, out, writeClient)
}

func clientRemove(ctx context.Context, args []string, out io.Writer) error {
	return clientOne(ctx, "remove", "removes an application; its tokens end with it", http.MethodDelete, "", args, out,
		func(out io.Writer, c admin.Client, asJSON bool) error {
			if asJSON {
				return writeJSON(out, c)
			}
			_, err := fmt.Fprintf(out, "client %s (%s) is removed; its tokens are void\n", c.ID, c.Name)
			return err
		})
}

// clientOne is a command about one application.
func clientOne(ctx context.Context, name, about, method, path string, args []string, out io.Writer, write func(io.Writer, admin.Client, bool) error) error {
	f := flags("client "+name, about, out)
	server := operatorFlags(f)
	asJSON := f.Bool("json", false, "write JSON")
	words, err := parse(f, args, "CLIENT_ID")
	if err != nil {
		return err
	}
	var c admin.Client
	if err := server.call(ctx, method, "/v1/clients/"+url.PathEscape(words[0])+path, nil, &c); err != nil {
		return err
	}
	return write(out, c, *asJSON)
}

func kindOf(c admin.Client) string {
	if c.Public {
		return "public"
	}
	return "confidential"
}

func writeJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func writeClient(out io.Writer, c admin.Client, asJSON bool) error {
	if asJSON {
		return writeJSON(out, c)
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, value)
		}
	}
	row("client_id", c.ID)
	row("client_secret", c.Secret)
	row("name", c.Name)
	row("kind", kindOf(c))
	if c.Native {
		row("native", "true")
	}
	row("redirect_uris", strings.Join(c.RedirectURIs, " "))
	row("post_logout_redirect_uris", strings.Join(c.PostLogoutRedirectURIs, " "))
	row("allowed_origins", strings.Join(c.AllowedOrigins, " "))
	row("scope", c.Scope)
	row("id_token_signed_response_alg", c.IDTokenAlg)
	row("subject_type", c.SubjectType)
	row("sector_host", c.SectorHost)
	row("consent", c.Consent)
	row("region", c.Region)
	row("countries", strings.Join(c.Countries, " "))
	row("truecaller_app", c.TruecallerApp)
	if c.DefaultMaxAge != nil {
		row("default_max_age", strconv.FormatInt(*c.DefaultMaxAge, 10))
	}
	row("client_uri", c.URI)
	row("logo_uri", c.LogoURI)
	row("tos_uri", c.TOSURI)
	row("policy_uri", c.PolicyURI)
	if c.WithoutPKCE {
		row("dangerously_without_pkce", "true")
	}
	if err := t.Flush(); err != nil || c.Secret == "" {
		return err
	}
	_, err := fmt.Fprintln(out, "\nThe secret is shown this once; it is not kept in a readable form.")
	return err
}
