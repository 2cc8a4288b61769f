// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/redact"
	"calleridp/truecaller"
)

// Truecaller is a registration in Truecaller's developer portal. Register
// ISSUER/callback/ID/CALLBACK_SECRET there as the callback URL.
type Truecaller struct {
	// ID identifies the app in this file and in the callback URL: letters, digits,
	// '-', '_' and '.'. Default "default"; required in truecaller_apps.
	ID string `yaml:"id"`
	// AppName is the name that the phone shows; our pages show it too. Required.
	AppName string `yaml:"app_name"`
	// AppKeyFile is the file with the appKey. Required, unless
	// CALLERIDP_TRUECALLER_APP_KEY holds it.
	AppKeyFile string      `yaml:"app_key_file"`
	AppKey     redact.Text `yaml:"app_key" secret:"environment"`
	// CallbackSecretFile is the file with the secret last part of the callback URL:
	// at least 32 letters and digits, for example from `openssl rand -hex 32`.
	// Required, unless CALLERIDP_TRUECALLER_CALLBACK_SECRET holds it. The file is
	// read again when it changes. The previous secret stays valid for an hour, even
	// across a restart, so that you can change the URL in the portal meanwhile.
	CallbackSecretFile string      `yaml:"callback_secret_file"`
	CallbackSecret     redact.Text `yaml:"callback_secret" secret:"environment"`
	// Methods are the ways to sign in: push (users type their number and approve on
	// their phone), onetap (on Android phones, a button opens Truecaller) and native
	// (Android applications with Truecaller's SDK, which bring its codes to the token
	// endpoint). Default push. An app with only native needs neither app_key nor
	// callback_secret. With onetap, the appKey is part of a public link and not a
	// secret.
	Methods []string `yaml:"methods"`
	// OneTap configures the dialog that the button opens.
	OneTap OneTap `yaml:"onetap"`
	// NativeClientID is the OAuth client id that Truecaller's portal shows for an
	// Android app. Required for the method native.
	NativeClientID string `yaml:"native_client_id"`
	// OAuthURL is the base URL at which codes of native applications are redeemed
	// and their profiles fetched. Default https://oauth-account-noneu.truecaller.com.
	OAuthURL string `yaml:"oauth_url"`
	// APIURL is the base URL to which pushes are sent. Default
	// https://api4.truecaller.com.
	APIURL string `yaml:"api_url"`
	// ProfileURLs are the base URLs from which profiles may be fetched. A callback can
	// only choose among them; the first is used if it names none. Default
	// https://profile4.truecaller.com and its -noneu and -eu siblings.
	ProfileURLs []string `yaml:"profile_urls"`
	// Timeout bounds one request to Truecaller, for all apps. Default 5s.
	Timeout Duration `yaml:"timeout"`
}

// OneTap is Truecaller's own dialog, with a fixed vocabulary.
type OneTap struct {
	// PartnerName is the name under which the dialog shows us. Default app_name.
	PartnerName string `yaml:"partner_name"`
	// LoginPrefix begins the title: getstarted, continue (default), placeorder,
	// completepurchase, checkout, completebooking, proceedwithbooking,
	// continuewith, getdetails, viewmore, continuereading or proceed.
	LoginPrefix string `yaml:"login_prefix"`
	// LoginSuffix completes the title: verifymobile, login (default), signup,
	// loginsignup, register or signin.
	LoginSuffix string `yaml:"login_suffix"`
	// CTAPrefix precedes the number on the button: use, continuewith (default) or
	// proceedwith.
	CTAPrefix string `yaml:"cta_prefix"`
	// CTAColor is the colour of the button, like "#0066CC". Default Truecaller's.
	CTAColor string `yaml:"cta_color"`
	// CTATextColor is the colour of its text.
	CTATextColor string `yaml:"cta_text_color"`
	// BtnShape is its shape: round or rect.
	BtnShape string `yaml:"btn_shape"`
	// SkipOption is the alternative below the button: useanothernum (default),
	// useanothermethod, manualdetails or later.
	SkipOption string `yaml:"skip_option"`
	// TTL is the time after which the dialog closes by itself, from 8s to 10m. If
	// unset, it stays open.
	TTL Duration `yaml:"ttl"`
	// PrivacyURL links to your privacy policy. Default the client's.
	PrivacyURL string `yaml:"privacy_url"`
	// TermsURL links to your terms of service. Default the client's.
	TermsURL string `yaml:"terms_url"`
	// SeveralNumbers decides about profiles with more than one number: refuse
	// (default) or first, which takes the first.
	SeveralNumbers string `yaml:"several_numbers"`
}

// The methods of an app.
const (
	MethodPush   = "push"
	MethodOneTap = "onetap"
	MethodNative = "native"
)

// keyedApp is a Truecaller app with its key in the configuration.
type keyedApp struct {
	key string
	Truecaller
}

// keyedApps returns all apps, first the one that serves clients that name none.
func (c Config) keyedApps() []keyedApp {
	all := []keyedApp{{"truecaller", c.Truecaller}}
	for i, app := range c.TruecallerApps {
		all = append(all, keyedApp{fmt.Sprintf("truecaller_apps[%d]", i), app})
	}
	return all
}

// appKeys are the keys of the fields of truecaller.App and truecaller.Dialog. Key
// is missing: it depends on where the secret comes from.
var appKeys = map[string]string{
	"ID":             "id",
	"API":            "api_url",
	"Profiles":       "profile_urls",
	"NativeClientID": "native_client_id",
	"OAuth":          "oauth_url",
	"OneTap":         "onetap",

	"LoginPrefix":  "login_prefix",
	"LoginSuffix":  "login_suffix",
	"CTAPrefix":    "cta_prefix",
	"CTAColor":     "cta_color",
	"CTATextColor": "cta_text_color",
	"BtnShape":     "btn_shape",
	"SkipOption":   "skip_option",
	"TTL":          "ttl",
	"PrivacyURL":   "privacy_url",
	"TermsURL":     "terms_url",
	"PartnerName":  "partner_name",
}

func (d *decoder) checkApps(c Config) []truecaller.App {
	var apps []truecaller.App
	first := map[string]string{}
	for i, app := range c.keyedApps() {
		if before, twice := first[app.ID]; twice && app.ID != "" {
			d.refuse(app.key+".id", "%q is already the id of %s", app.ID, before)
		} else {
			first[app.ID] = app.key
		}
		if i > 0 && app.Timeout != 0 {
			d.refuse(app.key+".timeout", "must be set under truecaller only; it applies to all apps")
		}
		apps = append(apps, d.checkApp(app))
	}
	return apps
}

func (d *decoder) checkApp(c keyedApp) truecaller.App {
	app := truecaller.App{
		ID:             c.ID,
		Name:           c.AppName,
		NativeClientID: strings.TrimSpace(c.NativeClientID),
		OAuth:          d.checkURL(c.key+".oauth_url", c.OAuthURL),
		WithoutPush:    !slices.Contains(c.Methods, MethodPush),
	}
	if c.AppName == "" {
		d.refuse(c.key+".app_name", "missing; write the name that the phone shows")
	}
	for i, method := range c.Methods {
		if method != MethodPush && method != MethodOneTap && method != MethodNative {
			d.refuse(fmt.Sprintf("%s.methods[%d]", c.key, i), "%q is unknown; use push, onetap or native", method)
		}
	}
	switch native := slices.Contains(c.Methods, MethodNative); {
	case native && app.NativeClientID == "":
		d.refuse(c.key+".native_client_id", "missing; the method native needs the OAuth client id of the Android app in Truecaller's portal")
	case !native && app.NativeClientID != "":
		d.refuse(c.key+".native_client_id", "is for the method native; add native to %s.methods", c.key)
	}
	if slices.Contains(c.Methods, MethodOneTap) {
		app.OneTap = d.checkOneTap(c)
	} else if c.OneTap != (OneTap{}) {
		d.refuse(c.key+".onetap", "is for the method onetap; add onetap to %s.methods", c.key)
	}
	keys := maps.Clone(appKeys)
	if !app.NativeOnly() {
		any := func(string) string { return "" } // truecaller checks it
		app.Key, keys["Key"] = d.checkSecret(c.key+".app_key", string(c.AppKey), c.AppKeyFile, any)
		keys["Key"] = strings.TrimPrefix(keys["Key"], c.key+".")
		secret, _ := d.checkSecret(c.key+".callback_secret", string(c.CallbackSecret), c.CallbackSecretFile, CheckCallbackSecret)
		app.CallbackSecrets = []string{secret}
		app.API = d.checkURL(c.key+".api_url", c.APIURL)
		for i, text := range c.ProfileURLs {
			app.Profiles = append(app.Profiles, d.checkURL(fmt.Sprintf("%s.profile_urls[%d]", c.key, i), text))
		}
	}
	d.refuseFields(c.key, app.Validate(), keys)
	if app.NativeClientID == "" {
		app.OAuth = nil
	}
	return app
}

// CheckCallbackSecret returns why a callback secret is refused, "" if it is not.
func CheckCallbackSecret(text string) (reason string) {
	if len(text) < 32 || strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		return "must be at least 32 letters and digits; create one with openssl rand -hex 32"
	}
	return ""
}

func (d *decoder) checkOneTap(c keyedApp) *truecaller.Dialog {
	dialog := &truecaller.Dialog{
		LoginPrefix:    c.OneTap.LoginPrefix,
		LoginSuffix:    c.OneTap.LoginSuffix,
		CTAPrefix:      c.OneTap.CTAPrefix,
		CTAColor:       c.OneTap.CTAColor,
		CTATextColor:   c.OneTap.CTATextColor,
		BtnShape:       c.OneTap.BtnShape,
		SkipOption:     c.OneTap.SkipOption,
		TTL:            time.Duration(c.OneTap.TTL),
		PrivacyURL:     c.OneTap.PrivacyURL,
		TermsURL:       c.OneTap.TermsURL,
		PartnerName:    c.OneTap.PartnerName,
		FirstOfSeveral: c.OneTap.SeveralNumbers == "first",
	}
	if dialog.PartnerName == "" { // the dialog shows app_name
		for _, e := range (truecaller.Dialog{PartnerName: c.AppName}).Validate() {
			d.refuse(c.key+".app_name", "%s, which the dialog of one-tap cannot show; set onetap.partner_name to a shorter name", e.Reason)
		}
	}
	switch c.OneTap.SeveralNumbers {
	case "", "refuse", "first":
	default:
		d.refuse(c.key+".onetap.several_numbers", "%q is unknown; use refuse or first", c.OneTap.SeveralNumbers)
	}
	return dialog
}

// checkURL parses the URL of an endpoint of Truecaller; truecaller.App validates
// it. Plain http is accepted at loopback addresses, for a simulator, but not at
// localhost, which a name server could answer (invariant 5).
func (d *decoder) checkURL(key, text string) *url.URL {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		d.refuse(key, "%q is not a URL like https://api4.truecaller.com", text)
	case u.Scheme == "http" && u.Hostname() == "localhost":
		d.refuse(key, "%q must be https, because secrets are sent there; a simulator may be at http://127.0.0.1", text)
	default:
		return u
	}
	return &url.URL{Scheme: "https", Host: "refused.invalid"} // so that it is refused once
}

// ClientDeployment returns what the server has for its clients.
func (s Settings) ClientDeployment() client.Deployment {
	here := client.Deployment{
		Algorithms:    s.Keys.Algorithms,
		Unsigned:      s.Keys.DangerouslyUnsignedIDTokens,
		ResponseTypes: client.ParseResponseTypes(s.ResponseTypes),
		DeviceFlow:    s.DeviceFlow.Enabled,
		Signals:       s.Signals.Enabled,
	}
	here.RequestObjects, _ = client.ParseRequestObjectMode(s.RequestObjects) // Check refuses others
	for _, app := range s.Apps {
		here.Apps = append(here.Apps, client.App{ID: app.ID, Native: app.NativeClientID != ""})
	}
	return here
}
