// SPDX-License-Identifier: Apache-2.0

package testworld

import (
	"net/url"
	"strings"

	"calleridp/provider/authorize"
)

// Delivered is an authorization response, as it reaches the client.
type Delivered struct {
	Mode   string // query, fragment or form_post; "" for none
	Target string // the redirect URI; its own query is among the parameters
	url.Values
}

// Delivered returns the authorization response in r, the zero value for none.
func (r Response) Delivered() Delivered {
	if page, view := r.Page(); page == "formpost" {
		d := Delivered{Mode: "form_post", Values: url.Values{}}
		d.Target, _ = view["action"].(string)
		fields, _ := view["fields"].([]any)
		for _, field := range fields {
			pair := field.([]any)
			d.Add(pair[0].(string), pair[1].(string))
		}
		return d
	}
	return redirected(r.Header.Get("Location"))
}

// DeliveredBy returns the response that a page sends.
func DeliveredBy(resp authorize.Response) Delivered {
	if !resp.FormPost {
		return redirected(resp.URL())
	}
	d := Delivered{Mode: "form_post", Target: resp.RedirectURI, Values: url.Values{}}
	for _, p := range resp.Params {
		d.Add(p.Name, p.Value)
	}
	return d
}

func redirected(location string) Delivered {
	for mode, mark := range map[string]string{"fragment": "#", "query": "?"} {
		if mode == "query" && strings.Contains(location, "#") {
			continue
		}
		if target, raw, found := strings.Cut(location, mark); found {
			values, _ := url.ParseQuery(raw)
			return Delivered{Mode: mode, Target: target, Values: values}
		}
	}
	return Delivered{Target: location}
}
