// SPDX-License-Identifier: Apache-2.0

package registration

import "calleridp/provider/client"

// FrontChannel are the members of OpenID Connect Front-Channel Logout 1.0 §2.
type FrontChannel struct {
	LogoutURI       string `json:"frontchannel_logout_uri,omitempty"`
	SessionRequired bool   `json:"frontchannel_logout_session_required,omitempty"`
}

func (in *members) frontChannel() client.FrontChannel {
	return client.FrontChannel{
		LogoutURI:       in.text("frontchannel_logout_uri"),
		SessionRequired: in.flag("frontchannel_logout_session_required"),
	}
}
