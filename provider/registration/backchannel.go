package registration

import "calleridp/provider/client"

// LogoutMetadata is what a client says of how it hears that a session has ended (OpenID
// Connect Back-Channel Logout §2.2). The registry validates it.
type LogoutMetadata struct {
	BackchannelURI     string `json:"backchannel_logout_uri,omitempty"`
	BackchannelSession bool   `json:"backchannel_logout_session_required,omitempty"`
}

// logoutOf reads the members.
func logoutOf(in *members) client.LogoutChannels {
	return client.LogoutChannels{
		BackchannelURI:     in.text("backchannel_logout_uri"),
		BackchannelSession: in.flag("backchannel_logout_session_required"),
	}
}

// logoutMetadataOf returns the members of a client.
func logoutMetadataOf(c client.Client) LogoutMetadata {
	return LogoutMetadata{
		BackchannelURI:     c.Logout.BackchannelURI,
		BackchannelSession: c.Logout.BackchannelSession,
	}
}
