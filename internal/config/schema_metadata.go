package config

import (
	"os"
	"path/filepath"
	"strings"

	"damselfly/internal/topology"
)

// The most octets of a file that a configuration names.
const (
	maxSecretFile = 16 << 10
	// maxUserData is what OpenStack takes, four times what EC2 does.
	maxUserData = 64 << 10
)

// metadata reads the metadata service of a network; an empty map is one that
// answers from the configuration.
func metadata(m *topology.MetadataSpec) reader {
	return func(v value) {
		v.fields(keys{
			"upstream":         text(&m.Upstream),
			"secret_file":      trimmed(&m.Secret, contents(&m.Secret, maxSecretFile)),
			"ca_file":          contents(&m.CA, maxUserData),
			"certificate_file": contents(&m.Certificate, maxUserData),
			"key_file":         contents(&m.Key, maxSecretFile),
			"timeout":          optional(&m.Timeout, duration),
		})
	}
}

// instance reads what the metadata service tells a port's guest.
func instance(i *topology.InstanceSpec) reader {
	return func(v value) {
		v.fields(keys{
			"instance_id": text(&i.ID),
			"hostname":    text(&i.Hostname),
			"ssh_keys":    many(&i.Keys, text),
			"user_data":   contents(&i.UserData, maxUserData),
			"vendor_data": contents(&i.VendorData, maxUserData),
		})
	}
}

// contents reads what a file holds, whose name is relative to the file it stands
// in. It is read with the configuration, and again when that is.
func contents(to *string, most int64) reader {
	return func(v value) {
		name, ok := textOf(v, "vm1.yaml, the name of a file")
		if !ok {
			return
		}
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(v.d.file), name)
		}
		if info, err := os.Stat(name); err == nil && info.Size() > most {
			v.wrong("%s has %d octets; %d are allowed", name, info.Size(), most)
			return
		}
		data, err := readStable(name, most)
		if err != nil {
			v.wrong("%s %s", name, reasonOf(err))
			return
		}
		*to = string(data)
	}
}

// trimmed takes the blanks around what r read off, such as the end of its line.
func trimmed(to *string, r reader) reader {
	return func(v value) {
		r(v)
		if *to = strings.TrimSpace(*to); *to == "" && len(v.d.mistakes) == 0 {
			v.wrong("names an empty file; write the secret into it")
		}
	}
}
