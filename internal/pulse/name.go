package pulse

import (
	"crypto/sha256"
	"encoding/hex"
)

const (
	namePrefix = "dfp-"
	maxName    = 15 // octets in a Linux device name, IFNAMSIZ less the final zero
)

// Name is the pulse port's device name for a bridge: "dfp-" and the bridge's
// name, or a digest of it where that would exceed 15 octets. It never changes.
func Name(bridge string) string { return NameWith(namePrefix, bridge) }

// NameWith is Name with another prefix, for other ports of Damselfly's.
func NameWith(prefix, bridge string) string {
	if len(prefix)+len(bridge) <= maxName {
		return prefix + bridge
	}
	sum := sha256.Sum256([]byte(bridge))
	return prefix + hex.EncodeToString(sum[:])[:maxName-len(prefix)]
}
