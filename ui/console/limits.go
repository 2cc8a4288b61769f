// SPDX-License-Identifier: Apache-2.0

package console

import (
	"net/http"

	"calleridp/provider/admin"
	"calleridp/provider/console"
)

type limitsPage struct {
	Kinds       []option
	Kind, Value string
	Limits      *admin.Limits
}

type option struct{ Value, Name string }

var limitKinds = []option{{"number", "A phone number"}, {"network", "A network"}, {"client", "A client"}, {"deployment", "The deployment"}}

// limits shows how a lock and a budget stand, and clears them. A number travels in the body.
func (h *handler) limits(w http.ResponseWriter, r *http.Request, s console.Session) error {
	p := limitsPage{Kinds: limitKinds, Kind: "number"}
	v := view{Title: "Limits"}
	status := http.StatusOK
	if r.Method == http.MethodPost {
		p.Kind, p.Value = r.PostForm.Get("kind"), r.PostForm.Get("value")
		var of admin.LimitsOf
		switch p.Kind {
		case "number":
			of.Number = p.Value
		case "network":
			of.Network = p.Value
		case "client":
			of.Client = p.Value
		default:
			p.Kind, of.Deployment = "deployment", true
		}
		var got *admin.Reply[admin.Limits]
		var err error
		if r.PostForm.Get("do") == "clear" {
			got, err = h.cfg.API.ClearLimits(r.Context(), &admin.LimitsClearing{Body: of})
			v.Did = "The lock is released and the budget is full."
		} else {
			got, err = h.cfg.API.ShowLimits(r.Context(), &admin.LimitsQuery{Body: of})
		}
		if told, code := refusal(err); told != nil {
			v.Problem, v.Did, status = told, "", code
		} else if err != nil {
			return err
		} else {
			p.Limits = &got.Body
		}
	}
	v.Page = p
	h.page(w, r, &s, status, "limits", v)
	return nil
}
