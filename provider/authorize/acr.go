// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"calleridp/provider/claims"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
	"calleridp/truecaller"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// acrOf returns the authentication context class of a sign-in by a method.
func acrOf(m login.Method) string {
	switch m {
	case login.OneTap:
		return claims.ACROneTap
	case login.Native:
		return claims.ACRNative
	}
	return claims.ACRPush
}

// offered returns the classes of sign-ins in a browser through a Truecaller app.
func offered(app truecaller.App) []string {
	var acrs []string
	if !app.WithoutPush {
		acrs = append(acrs, claims.ACRPush)
	}
	if app.OneTap != nil {
		acrs = append(acrs, claims.ACROneTap)
	}
	return acrs
}

// supportedACRs returns the classes of all sign-ins of a deployment.
func supportedACRs(apps truecaller.Apps) []string {
	var acrs []string
	for app := range maps.Values(apps.ByID) {
		acrs = append(acrs, offered(app)...)
		if app.NativeClientID != "" {
			acrs = append(acrs, claims.ACRNative)
		}
	}
	return slices.DeleteFunc(slices.Clone(claims.ACRValues), func(acr string) bool { return !slices.Contains(acrs, acr) })
}

// parseACR reads into q which class the client demands (an essential acr in the parameter
// claims, OpenID Connect Core §5.5.1.1), else which it prefers: by a voluntary acr there, by
// acr_values (§3.1.2.1), or by what it has registered, each in the order of preference.
func parseACR(in endpoint.Parameters, c client.Client, wanted claims.ACRRequest, app truecaller.App, q *request) error {
	if wanted.Demanded {
		q.ACR = slices.DeleteFunc(slices.Clone(claims.ACRValues), func(acr string) bool { return !slices.Contains(wanted.Values, acr) })
		if len(q.ACR) == 0 {
			return unmetACR("the essential acr has no value of acr_values_supported")
		}
		return nil
	}
	preferred := wanted.Values
	if len(preferred) == 0 {
		preferred = strings.Fields(in.Get("acr_values"))
	}
	if len(preferred) == 0 {
		preferred = c.DefaultACRValues
	}
	q.PushFirst = prefersPush(preferred, app)
	return nil
}

// prefersPush reports whether the first of these classes that the app offers is a push.
func prefersPush(preferred []string, app truecaller.App) bool {
	own := offered(app)
	first := slices.IndexFunc(preferred, func(acr string) bool { return slices.Contains(own, acr) })
	return first >= 0 && preferred[first] == claims.ACRPush
}

// unmetACR refuses a request whose essential acr cannot be had (OpenID Connect Core Error
// Code unmet_authentication_requirements 1.0 §2).
func unmetACR(description string) *oidc.Error {
	unmet := oidc.Error{ErrorType: "unmet_authentication_requirements"}
	return unmet.WithDescription("%s", description)
}

// acceptsACR reports whether a sign-in of this class is one that the client accepts.
func (q *request) acceptsACR(acr string) bool { return len(q.ACR) == 0 || slices.Contains(q.ACR, acr) }

// checkACR returns an *oidc.Error if no new sign-in can have a class that the client demands.
func (cs clients) checkACR(q *request, c client.Client) error {
	if len(q.ACR) == 0 {
		return nil
	}
	app, err := cs.app(c)
	if err != nil {
		return err
	}
	if own := offered(app); !slices.ContainsFunc(own, q.acceptsACR) {
		return unmetACR(fmt.Sprintf("the client's users sign in by %s", strings.Join(own, " or ")))
	}
	return nil
}

// appFor returns the client's Truecaller app with the methods that the request leaves to
// the user: those of a demanded class, and no one-tap link where the client prefers a push.
func (cs clients) appFor(c client.Client, q *request) (truecaller.App, error) {
	app, err := cs.app(c)
	if err != nil {
		return app, err
	}
	return narrowed(app, q), nil
}

func narrowed(app truecaller.App, q *request) truecaller.App {
	if !q.acceptsACR(claims.ACRPush) {
		app.WithoutPush = true
	}
	if !q.acceptsACR(claims.ACROneTap) || q.PushFirst {
		app.OneTap = nil
	}
	return app
}
