// SPDX-License-Identifier: Apache-2.0

package registration

import "calleridp/provider/client"

// BackChannel are the members of OpenID Connect Back-Channel Logout 1.0 §2.2. The registry
// validates them.
type BackChannel struct {
	LogoutURI       string `json:"backchannel_logout_uri,omitempty"`
	SessionRequired bool   `json:"backchannel_logout_session_required,omitempty"`
}

func (in *members) backChannel() client.BackChannel {
	return client.BackChannel{
		LogoutURI:       in.text("backchannel_logout_uri"),
		SessionRequired: in.flag("backchannel_logout_session_required"),
	}
}
