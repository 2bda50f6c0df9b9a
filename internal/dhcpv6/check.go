package dhcpv6

import "bytes"

// check applies the rules of RFC 9915 section 16 for the message's type to
// what walk read.
func (r *Request) check(c *Context) Fault {
	switch r.Type() {
	case Solicit, Rebind:
		return r.checkAnyServer()
	case Confirm:
		return r.checkConfirm()
	case RequestMessage, Renew, Release, Decline:
		return r.checkThisServer(c)
	case InformationRequest:
		return r.checkInformation(c)
	case AddrRegInform:
		return r.checkRegistration(c)
	default:
		return FaultUnknownType
	}
}

// checkAnyServer is for messages to all servers: Solicit, Confirm and Rebind
// (RFC 9915 sections 16.2, 16.5 and 16.7).
func (r *Request) checkAnyServer() Fault {
	switch {
	case r.ClientID == nil:
		return FaultNoClientID
	case r.ServerID != nil:
		return FaultUnexpectedServerID
	}
	return FaultNone
}

// checkConfirm is for Confirm: "or there were no addresses in any of the IAs
// sent by the client, the server MUST NOT send a Reply to the client", RFC
// 9915 section 18.3.3.
func (r *Request) checkConfirm() Fault {
	if f := r.checkAnyServer(); f != FaultNone {
		return f
	}
	for i := range r.IAs() {
		if ia := &r.ias[i]; ia.Code == OptionIANA && ia.end > ia.first {
			return FaultNone
		}
	}
	return FaultNoAddress
}

// checkThisServer is for messages to one server: Request, Renew, Decline and
// Release (RFC 9915 sections 16.4, 16.6, 16.8 and 16.9).
func (r *Request) checkThisServer(c *Context) Fault {
	switch {
	case r.ClientID == nil:
		return FaultNoClientID
	case r.ServerID == nil:
		return FaultNoServerID
	case !bytes.Equal(r.ServerID, c.ServerID):
		return FaultWrongServerID
	}
	return FaultNone
}

// checkInformation is for Information-request, which may do without any
// identifier (RFC 9915 section 16.12).
func (r *Request) checkInformation(c *Context) Fault {
	switch {
	case r.ServerID != nil && !bytes.Equal(r.ServerID, c.ServerID):
		return FaultWrongServerID
	case r.nIAs > 0 || r.iata:
		return FaultIAInInformationRequest
	}
	return FaultNone
}

// checkRegistration is for ADDR-REG-INFORM (RFC 9686 section 4.2.1).
func (r *Request) checkRegistration(c *Context) Fault {
	if f := r.checkAnyServer(); f != FaultNone {
		return f
	}
	if r.nHints != 1 || r.nIAs > 0 || r.iata || r.ORO != nil {
		return FaultRegistration
	}
	// "The source address of the original message is the source IP address of
	// the packet if it is not relayed, or the Peer-Address field of the
	// innermost Relay-Forward message if it is relayed."
	source := c.Source
	if r.nRelays > 0 {
		source = r.relays[r.nRelays-1].Relay.PeerAddress()
	}
	if r.hints[0].Address != source.WithZone("") {
		return FaultRegistrationSource
	}
	return FaultNone
}
