// SPDX-License-Identifier: Apache-2.0

package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"calleridp/provider/admin"
	"calleridp/provider/console"
)

// formField is a field of the form of a client. Key is its name in the API.
type formField struct {
	Key, Label, Hint string
	Kind             string // text, lines, choice, check, number or words
	Options          []option
	Required         bool

	Value, Wrong string
}

type formGroup struct {
	Name   string
	Fields []formField
}

// clientGroups are the fields that the form offers. What it lacks of the API stays as it is.
var clientGroups = []formGroup{
	{"Name and pages", []formField{
		{Key: "client_name", Label: "Name", Hint: "What users see when they sign in.", Kind: "text", Required: true},
		{Key: "client_uri", Label: "Home page", Kind: "text"},
		{Key: "logo_uri", Label: "Logo", Hint: "An https address of a PNG, JPEG, GIF or WebP picture.", Kind: "text"},
		{Key: "policy_uri", Label: "Privacy policy", Kind: "text"},
		{Key: "tos_uri", Label: "Terms of service", Kind: "text"},
	}},
	{"Where users return to", []formField{
		{Key: "redirect_uris", Label: "Redirect URIs", Hint: "One a line; compared exactly.", Kind: "lines"},
		{Key: "post_logout_redirect_uris", Label: "Redirect URIs after signing out", Hint: "One a line.", Kind: "lines"},
		{Key: "allowed_origins", Label: "Origins of browser applications", Hint: "One a line; empty: those of the redirect URIs of a public client.", Kind: "lines"},
		{Key: "initiate_login_uri", Label: "Where a sign-in begins", Kind: "text"},
	}},
	{"How it authenticates", []formField{
		{Key: "token_endpoint_auth_method", Label: "Method", Kind: "choice", Options: []option{
			{"", "A secret, in the header or the body"}, {"client_secret_basic", "client_secret_basic"},
			{"client_secret_post", "client_secret_post"}, {"client_secret_jwt", "client_secret_jwt"}, {"private_key_jwt", "private_key_jwt"},
		}},
		{Key: "jwks_uri", Label: "Address of its keys", Hint: "For private_key_jwt, signed requests or encrypted responses.", Kind: "text"},
		{Key: "public", Label: "Public: it cannot keep a secret", Kind: "check"},
		{Key: "native", Label: "An Android application with Truecaller's SDK", Kind: "check"},
		{Key: "device_flow", Label: "Signs in on devices without a browser", Kind: "check"},
	}},
	{"What it gets", []formField{
		{Key: "scope", Label: "Scopes", Hint: "With spaces between; empty: all.", Kind: "text"},
		{Key: "consent", Label: "Ask users for consent", Kind: "choice", Options: []option{
			{"", "Never: our own application"}, {"remember", "Once, and again for more"}, {"always", "Every time"},
		}},
		{Key: "scope_claims", Label: "Claims of its scopes", Kind: "choice", Options: []option{
			{"", "In ID tokens and from userinfo"}, {"id_token", "In ID tokens alone"}, {"userinfo", "From userinfo alone"},
		}},
		{Key: "id_token_signed_response_alg", Label: "Algorithm of ID tokens", Kind: "text"},
		{Key: "subject_type", Label: "sub", Kind: "choice", Options: []option{{"", "The same for all clients"}, {"pairwise", "Another one for each sector (pairwise)"}}},
		{Key: "default_max_age", Label: "Longest age of a sign-in, in seconds", Kind: "number"},
	}},
	{"When sessions end", []formField{
		{Key: "backchannel_logout_uri", Label: "Back-channel logout address", Kind: "text"},
		{Key: "frontchannel_logout_uri", Label: "Front-channel logout address", Kind: "text"},
		{Key: "backchannel_logout_session_required", Label: "Back-channel logout needs the sid", Kind: "check"},
		{Key: "frontchannel_logout_session_required", Label: "Front-channel logout needs iss and sid", Kind: "check"},
	}},
	{"Sign-in page", []formField{
		{Key: "region", Label: "Country of national numbers", Hint: "Two letters, like IN.", Kind: "text"},
		{Key: "countries", Label: "First in the list of countries", Hint: "With spaces between, like IN SE.", Kind: "words"},
		{Key: "colour", Label: "Colour", Hint: "Like #0066cc.", Kind: "text"},
		{Key: "colour_dark", Label: "Colour on dark", Kind: "text"},
		{Key: "truecaller_app", Label: "Truecaller app", Hint: "Empty: the deployment's first.", Kind: "text"},
	}},
}

// newID is the first field of a new client.
var newID = formField{Key: "client_id", Label: "client_id", Hint: "Empty: a random one.", Kind: "text"}

// clientForm is the form of a client, as it was filled in.
type clientForm struct {
	New      bool
	ID, ETag string
	values   map[string]string
}

// readForm reads a form that was sent.
func readForm(r *http.Request) clientForm {
	form := clientForm{ETag: r.PostForm.Get("etag"), values: map[string]string{"client_id": strings.TrimSpace(r.PostForm.Get(newID.Key))}}
	for _, g := range clientGroups {
		for _, f := range g.Fields {
			form.values[f.Key] = strings.TrimSpace(r.PostForm.Get(f.Key))
		}
	}
	return form
}

// formOf returns the form of a client as it is.
func formOf(c admin.Client, etag string) clientForm {
	form := clientForm{ID: c.ID, ETag: etag, values: map[string]string{}}
	have := valuesOf(c)
	for _, g := range clientGroups {
		for _, f := range g.Fields {
			raw, ok := have[f.Key]
			if !ok {
				continue
			}
			var text string
			var list []string
			switch {
			case json.Unmarshal(raw, &text) == nil:
			case json.Unmarshal(raw, &list) == nil && f.Kind == "words":
				text = strings.Join(list, " ")
			case list != nil:
				text = strings.Join(list, "\n")
			default:
				text = string(raw)
			}
			form.values[f.Key] = text
		}
	}
	return form
}

// patch returns what the form says as a merge patch (RFC 7396): an empty field takes away.
func (form clientForm) patch() (admin.Patch, error) {
	patch := admin.Patch{}
	fields := []formField{}
	if form.New {
		fields = append(fields, newID)
	}
	for _, g := range clientGroups {
		fields = append(fields, g.Fields...)
	}
	for _, f := range fields {
		var value any = form.values[f.Key]
		switch text := form.values[f.Key]; {
		case f.Kind == "check":
			value = text == "true"
		case text == "":
			value = nil
		case f.Kind == "lines" || f.Kind == "words":
			value = strings.Fields(text) // no address has a space in it
		case f.Kind == "number":
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return nil, &admin.Problem{Status: http.StatusUnprocessableEntity, Detail: "A field is no number.",
					Errors: []admin.FieldProblem{{Location: "body." + f.Key, Detail: "must be a whole number"}}}
			}
			value = n
		}
		raw, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		patch[f.Key] = raw
	}
	return patch, nil
}

type formPage struct {
	ID, Name, ETag, Action, Submit, Back string
	Groups                               []formGroup
}

// drawForm writes the form, with what is wrong beside each field.
func (h *handler) drawForm(w http.ResponseWriter, r *http.Request, s console.Session, status int, form clientForm, err error) {
	v := view{}
	wrong := map[string]string{}
	if refused, ok := errors.AsType[*admin.Problem](err); ok {
		v.Problem, _ = refusal(err)
		for _, e := range refused.Errors {
			key, _, _ := strings.Cut(strings.TrimPrefix(e.Location, "body."), "[")
			wrong[key] = strings.TrimPrefix(wrong[key]+"; "+e.Detail, "; ")
		}
	}
	p := formPage{ID: form.ID, Name: form.values["client_name"], ETag: form.ETag, Action: clientPath(form.ID) + "/edit", Submit: "Save", Back: clientPath(form.ID)}
	v.Title = "Edit client"
	if form.New {
		p.Action, p.Submit, p.Back, v.Title = "/console/clients/new", "Add this client", "/console/clients", "Add a client"
	}
	for i, g := range clientGroups {
		shown := formGroup{Name: g.Name}
		if i == 0 && form.New {
			g.Fields = append([]formField{newID}, g.Fields...)
		}
		for _, f := range g.Fields {
			f.Value, f.Wrong = form.values[f.Key], wrong[f.Key]
			if f.Kind == "choice" && !slices.ContainsFunc(f.Options, func(o option) bool { return o.Value == f.Value }) {
				// Without an option of its own, the first one would be saved in its place.
				f.Options = append(slices.Clone(f.Options), option{f.Value, f.Value})
			}
			shown.Fields = append(shown.Fields, f)
		}
		p.Groups = append(p.Groups, shown)
	}
	v.Page = p
	h.page(w, r, &s, status, "clientform", v)
}
