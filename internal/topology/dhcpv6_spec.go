package topology

import (
	"net/netip"
	"time"
)

// OptionSpec is one wanted DHCPv6 option. Which of the fields behind Code
// count is the option's Kind.
type OptionSpec struct {
	Code uint16
	// Addresses are KindAddresses.
	Addresses []netip.Addr
	// Texts are KindDomains, KindText (one), KindTexts and KindTimeServers.
	Texts []string
	// Number is KindOctet and KindSeconds.
	Number uint32
	// Resolvers are KindResolvers.
	Resolvers []EncryptedDNSSpec
	// Vendors are KindVendors.
	Vendors []VendorSpec
	// Raw is KindRaw: the option's data.
	Raw []byte
}

// VendorSpec is what one Vendor-specific Information option holds (RFC 9915
// section 21.17).
type VendorSpec struct {
	// Enterprise is the vendor's number as IANA registered it.
	Enterprise uint32
	Options    []SubOptionSpec
}

// SubOptionSpec is one option within another.
type SubOptionSpec struct {
	Code uint16
	Data []byte
}

// DelegationSpec is one wanted pool of prefixes.
type DelegationSpec struct {
	Pool   netip.Prefix
	Length int
	// Exclude is the part of each prefix that stays on the link to the requesting
	// router (RFC 6603); nil for none.
	Exclude *ExcludeSpec
	// Preferred and Valid default as those of a SubnetSpec.
	Preferred, Valid *time.Duration
}

// ExcludeSpec names a prefix within each delegated one by its length and its
// number there.
type ExcludeSpec struct {
	Length int
	Subnet uint64
}
