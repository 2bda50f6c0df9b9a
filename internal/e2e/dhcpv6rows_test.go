package e2e

import (
	"fmt"
	"net"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/google/go-cmp/cmp"
)

// dhcpv6Row is one message or option: who asked, and what is to be answered.
type dhcpv6Row struct {
	what   string
	client string
	// live is the test in which the client asks a running Damselfly.
	live string
	// capture is what the client sent then, under fixtures/captures.
	capture string
	// check judges a dialogue: the live one and the capture's replay.
	check func(dialogue) error
}

// The clients.
const (
	dhclient = "ISC dhclient 4.4.3"
	dhcpcd9  = "dhcpcd 9.4.1"
	library  = "insomniacslk/dhcp"
)

// dhcpv6Rows is the table.
var dhcpv6Rows = []dhcpv6Row{
	{"SOLICIT, ADVERTISE", dhcpcd9, "TestDHCPcdOptions", "options/dhcpcd", answeredBy(dhcpv6.MessageTypeSolicit, dhcpv6.MessageTypeAdvertise)},
	{"Preference", dhcpcd9, "TestDHCPcdOptions", "options/dhcpcd", told(dhcpv6.MessageTypeSolicit, uint8(7),
		func(m *dhcpv6.Message) any { return m.Options.Preference() })},
	{"Rapid Commit", dhcpcd9, "TestDHCPcdOptions", "options/dhcpcd-rapid", all(
		answeredBy(dhcpv6.MessageTypeSolicit, dhcpv6.MessageTypeReply), told(dhcpv6.MessageTypeSolicit, "[]", dataOf(dhcpv6.OptionRapidCommit)))},
	{"REQUEST, fixed address", dhclient, "TestDHCPv6Clients", "dhclient-fixed", given(dhcpv6.MessageTypeRequest)},
	{"REQUEST, address of a pool", dhclient, "TestDHCPv6Decline", "life/dhclient-decline", given(dhcpv6.MessageTypeRequest)},
	{"REQUEST, transmit offload on", dhclient, "TestDHCPv6Clients", "dhclient-offload", given(dhcpv6.MessageTypeRequest)},
	{"REQUEST, transmit offload on", dhcpcd9, "TestDHCPcdLife", "life/dhcpcd-life", given(dhcpv6.MessageTypeRequest)},
	{"REQUEST, prefix", dhclient, "TestDHCPv6Clients", "dhclient-prefix", delegated(dhcpv6.MessageTypeRequest)},
	{"REQUEST, address and prefix", dhcpcd9, "TestDHCPcdLife", "life/dhcpcd-life", all(
		given(dhcpv6.MessageTypeRequest), delegated(dhcpv6.MessageTypeRequest))},
	{"REQUEST, NotOnLink", library, "TestDHCPv6Asked", "options/asker-elsewhere", told(dhcpv6.MessageTypeRequest, iana.StatusNotOnLink, statusOfIA)},
	{"CONFIRM", dhclient, "TestDHCPv6Life", "life/dhclient-life", told(dhcpv6.MessageTypeConfirm, iana.StatusSuccess, status)},
	{"CONFIRM after a link flap", dhcpcd9, "TestDHCPcdConfirm", "life/dhcpcd-confirm", told(dhcpv6.MessageTypeConfirm, iana.StatusSuccess, status)},
	{"CONFIRM, NotOnLink", library, "TestDHCPv6Asked", "options/asker-elsewhere", told(dhcpv6.MessageTypeConfirm, iana.StatusNotOnLink, status)},
	{"RENEW", dhclient, "TestDHCPv6Life", "life/dhclient-life", given(dhcpv6.MessageTypeRenew)},
	{"RENEW, address and prefix", dhcpcd9, "TestDHCPcdLife", "life/dhcpcd-life", all(
		given(dhcpv6.MessageTypeRenew), delegated(dhcpv6.MessageTypeRenew))},
	{"RENEW of an address of an old prefix: lifetime 0", library, "TestDHCPv6Asked", "options/asker-renumbered", renumbered},
	{"REBIND", dhclient, "TestDHCPv6Life", "life/dhclient-life", given(dhcpv6.MessageTypeRebind)},
	{"REBIND, address and prefix", dhcpcd9, "TestDHCPcdLife", "life/dhcpcd-life", all(
		given(dhcpv6.MessageTypeRebind), delegated(dhcpv6.MessageTypeRebind))},
	{"RELEASE", dhclient, "TestDHCPv6Decline", "life/dhclient-decline", told(dhcpv6.MessageTypeRelease, iana.StatusSuccess, status)},
	{"DECLINE", dhclient, "TestDHCPv6Decline", "life/dhclient-decline", declined},
	{"INFORMATION-REQUEST", dhclient + " -S", "TestDHCPv6Clients", "dhclient-stateless", told(dhcpv6.MessageTypeInformationRequest, "[2001:db8::53]", dns)},
	{"INFORMATION-REQUEST", dhcpcd9, "TestDHCPcdOptions", "options/dhcpcd-inform", told(dhcpv6.MessageTypeInformationRequest, "[2001:db8::53]", dns)},
	{"RECONFIGURE; once more, and under a forged key", dhcpcd9, "TestDHCPcdOptions", "options/dhcpcd", reconfigured},
	{"ADDR-REG-INFORM (RFC 9686)", library, "TestDHCPv6Asked", "options/asker-registers", registered},
	{"RELAY-FORWARD nested", dhclient + " behind two dhcrelay", "TestNestedRelays", "relayed/dhclient-dhcrelay", relayedBack},
	{"RELAY-FORWARD nested, Remote-ID", library, "TestDHCPv6Asked", "options/relay-nested", relayedBack},
	{"relay_to Kea 2.2.0 (RFC 6939)", dhclient, "TestKeaBehindRelay", "relayed/dhclient-kea", relayedToKea},
	{"several IAs, IAID 0, several addresses in one", dhcpcd9, "TestDHCPcdOptions", "options/dhcpcd", severalIAs},
	{"PD exclude (RFC 6603)", library, "TestDHCPv6Asked", "options/asker-excludes", excluded},
	{"DNS servers", dhcpcd9, "TestDHCPcdOptions", "options/dhcpcd", told(dhcpv6.MessageTypeRequest, "[2001:db8::53]", dns)},
	{"Domain search list", dhcpcd9, "TestDHCPcdOptions", "options/dhcpcd", told(dhcpv6.MessageTypeRequest, "[example.test lab.example.test]",
		func(m *dhcpv6.Message) any { return fmt.Sprint(m.Options.DomainSearchList().Labels) })},
	{"SNTP servers", dhcpcd9, "TestDHCPcdOptions", "options/dhcpcd", told(dhcpv6.MessageTypeRequest, "[2001:db8::124]",
		func(m *dhcpv6.Message) any { return fmt.Sprint(m.Options.SNTP()) })},
	{"NTP servers", dhcpcd9, "TestDHCPcdOptions", "options/dhcpcd", told(dhcpv6.MessageTypeRequest, "[2001:db8::123 ntp.example.test]", ntp)},
	{"Information refresh time", dhcpcd9, "TestDHCPcdOptions", "options/dhcpcd-inform", told(dhcpv6.MessageTypeInformationRequest, "4h0m0s",
		func(m *dhcpv6.Message) any { return m.Options.InformationRefreshTime(0).String() })},
	{"SOL_MAX_RT", dhcpcd9, "TestDHCPcdOptions", "options/dhcpcd", told(dhcpv6.MessageTypeSolicit, "[00000258]", dataOf(dhcpv6.OptionSolMaxRT))},
	{"INF_MAX_RT", dhcpcd9, "TestDHCPcdOptions", "options/dhcpcd-inform", told(dhcpv6.MessageTypeInformationRequest, "[000002bc]", dataOf(dhcpv6.OptionInfMaxRT))},
	{"Boot file URL", dhcpcd9, "TestDHCPcdOptions", "options/dhcpcd", told(dhcpv6.MessageTypeRequest, "tftp://[2001:db8::69]/boot.efi",
		func(m *dhcpv6.Message) any { return m.Options.BootFileURL() })},
	{"Boot file parameters", dhcpcd9, "TestDHCPcdOptions", "options/dhcpcd", told(dhcpv6.MessageTypeRequest, []string{"root=/dev/vda", "ro"},
		func(m *dhcpv6.Message) any { return m.Options.BootFileParam() })},
	{"FQDN", dhcpcd9, "TestDHCPcdOptions", "options/dhcpcd", told(dhcpv6.MessageTypeRequest, "guest.example.test, no updates, overridden", fqdn)},
	{"Captive portal", dhcpcd9, "TestDHCPcdOptions", "options/dhcpcd", told(dhcpv6.MessageTypeRequest,
		fmt.Sprintf("[%x]", "https://portal.example.test/api"), dataOf(103))},
	{"DNR (RFC 9463)", dhcpcd9, "TestDHCPcdOptions", "options/dhcpcd", told(dhcpv6.MessageTypeRequest,
		fmt.Sprintf("[0001"+"0012"+"03%x07%x04%x00"+"0010"+"20010db8000000000000000000000053"+"0001000403%x]", "dns", "example", "test", "dot"), dataOf(144))},
	{"Vendor options", dhcpcd9, "TestDHCPcdOptions", "options/dhcpcd", told(dhcpv6.MessageTypeRequest, "0102",
		func(m *dhcpv6.Message) any { return fmt.Sprintf("%x", m.Options.VendorOpt(32473).GetOne(1).ToBytes()) })},
	{"any option by number", dhcpcd9, "TestDHCPcdOptions", "options/dhcpcd", told(dhcpv6.MessageTypeRequest, "[0001]", dataOf(65001))},
}

// told wants the first answer to a message of a type to say something.
func told(asked dhcpv6.MessageType, want any, what func(*dhcpv6.Message) any) func(dialogue) error {
	return func(d dialogue) error {
		list := d.answers(asked)
		if len(list) == 0 {
			return fmt.Errorf("no %v was answered", asked)
		}
		if diff := cmp.Diff(want, what(list[0].reply.inner)); diff != "" {
			return fmt.Errorf("answer to %v (-want +got):\n%s", asked, diff)
		}
		return nil
	}
}

// answeredBy wants messages of a type to be answered by those of another.
func answeredBy(asked, reply dhcpv6.MessageType) func(dialogue) error {
	return told(asked, reply, func(m *dhcpv6.Message) any { return m.MessageType })
}

// all wants everything.
func all(checks ...func(dialogue) error) func(dialogue) error {
	return func(d dialogue) error {
		for _, check := range checks {
			if err := check(d); err != nil {
				return err
			}
		}
		return nil
	}
}

// dataOf is the data of all options of a code, in hexadecimal.
func dataOf(code dhcpv6.OptionCode) func(*dhcpv6.Message) any {
	return func(m *dhcpv6.Message) any {
		var list []string
		for _, o := range m.GetOption(code) {
			list = append(list, fmt.Sprintf("%x", o.ToBytes()))
		}
		if len(list) == 0 {
			return "nothing"
		}
		return fmt.Sprint(list)
	}
}

func dns(m *dhcpv6.Message) any { return fmt.Sprint(m.Options.DNS()) }

// ntp lists what time servers are told: addresses and names.
func ntp(m *dhcpv6.Message) any {
	var list []string
	for _, o := range m.GetOption(dhcpv6.OptionNTPServer) {
		for _, server := range o.(*dhcpv6.OptNTPServer).Suboptions {
			switch server := server.(type) {
			case *dhcpv6.NTPSuboptionSrvAddr:
				list = append(list, net.IP(*server).String())
			case *dhcpv6.NTPSuboptionSrvFQDN:
				list = append(list, server.Labels.Labels...)
			default:
				list = append(list, fmt.Sprint(server))
			}
		}
	}
	return fmt.Sprint(list)
}

// fqdn is the name with its flags (RFC 4704 section 4.1).
func fqdn(m *dhcpv6.Message) any {
	o := m.Options.FQDN()
	if o == nil {
		return "nothing"
	}
	text := o.DomainName.Labels[0]
	if o.Flags&4 != 0 {
		text += ", no updates"
	}
	if o.Flags&2 != 0 {
		text += ", overridden"
	}
	return text
}

// status is that of a whole message.
func status(m *dhcpv6.Message) any {
	if s := m.Options.Status(); s != nil {
		return s.StatusCode
	}
	return "nothing"
}

// statusOfIA is that of the only IA_NA.
func statusOfIA(m *dhcpv6.Message) any {
	if ia := m.Options.OneIANA(); ia != nil && ia.Options.Status() != nil {
		return ia.Options.Status().StatusCode
	}
	return "nothing"
}
