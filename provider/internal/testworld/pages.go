// SPDX-License-Identifier: Apache-2.0

package testworld

import (
	"encoding/json"
	"net/http"

	"calleridp/provider/account"
	"calleridp/provider/authorize"
	"calleridp/provider/checksession"
	"calleridp/provider/deviceflow"
	"calleridp/provider/endpoint"
	"calleridp/provider/logout"
)

// notebook implements provider.Pages: each page is one line of JSON, its name and
// its view. Response.Page reads it.
type notebook struct{}

func (notebook) write(w http.ResponseWriter, status int, page string, view any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"page": page, "view": view})
}

func (n notebook) SignIn(w http.ResponseWriter, _ *http.Request, v authorize.SignInView) {
	n.write(w, http.StatusOK, "signin", v)
}

func (n notebook) Consent(w http.ResponseWriter, _ *http.Request, v authorize.ConsentView) {
	n.write(w, http.StatusOK, "consent", v)
}

func (n notebook) Account(w http.ResponseWriter, _ *http.Request, v account.AccountView) {
	n.write(w, http.StatusOK, "account", v)
}

func (n notebook) AccountStep(w http.ResponseWriter, _ *http.Request, v account.AccountStepView) {
	n.write(w, http.StatusOK, "step", v)
}

func (n notebook) FormPost(w http.ResponseWriter, _ *http.Request, action string, fields []endpoint.Parameter) {
	pairs := make([][2]string, len(fields))
	for i, field := range fields {
		pairs[i] = [2]string{field.Name, field.Value}
	}
	n.write(w, http.StatusOK, "formpost", map[string]any{"action": action, "fields": pairs})
}

// SendAgain writes the fields as plain structs: as JSON, a parameter has no value.
func (n notebook) SendAgain(w http.ResponseWriter, _ *http.Request, v authorize.SendAgainView) {
	type field struct{ Name, Value string }
	view := struct {
		authorize.SendAgainView
		Fields []field
	}{SendAgainView: v}
	for _, f := range v.Fields {
		view.Fields = append(view.Fields, field(f))
	}
	n.write(w, http.StatusOK, "sendagain", view)
}

func (n notebook) ConfirmSignOut(w http.ResponseWriter, _ *http.Request, v logout.SignOutView) {
	n.write(w, http.StatusOK, "confirm", v)
}

func (n notebook) SignedOut(w http.ResponseWriter, _ *http.Request, v logout.SignedOutView) {
	n.write(w, http.StatusOK, "signedout", v)
}

func (n notebook) EnterUserCode(w http.ResponseWriter, _ *http.Request, v deviceflow.EnterView) {
	n.write(w, http.StatusOK, "usercode", v)
}

func (n notebook) ConfirmDevice(w http.ResponseWriter, _ *http.Request, v deviceflow.ConfirmView) {
	n.write(w, http.StatusOK, "confirmdevice", v)
}

func (n notebook) DeviceDone(w http.ResponseWriter, _ *http.Request, v deviceflow.DoneView) {
	n.write(w, http.StatusOK, "devicedone", v)
}

func (n notebook) CheckSession(w http.ResponseWriter, _ *http.Request, v checksession.View) {
	n.write(w, http.StatusOK, "checksession", v)
}

func (n notebook) Error(w http.ResponseWriter, _ *http.Request, v endpoint.ErrorView) {
	n.write(w, v.Status, "error", v)
}
