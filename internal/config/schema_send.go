package config

import (
	"os"
	"path/filepath"

	"damselfly/internal/send"
	"damselfly/internal/topology"
)

// largestPEM is the most octets of a file with a key or certificates.
const largestPEM = 1 << 17

// pemFile is a file named in the configuration, and where.
type pemFile struct {
	at   value
	name string
}

// pem reads the name of a file, which is relative to the file it stands in.
func (f *pemFile) pem() reader {
	return func(v value) {
		if folder(&f.name)(v); f.name != "" {
			f.at = v
		}
	}
}

// load reads the file; false notes a Mistake, or says that none was named.
func (f *pemFile) load() ([]byte, bool) {
	if f.name == "" {
		return nil, false
	}
	if info, err := os.Stat(f.name); err == nil && info.Size() > largestPEM {
		f.at.wrong("%s has %d octets, more than a key or certificates have", filepath.Base(f.name), info.Size())
		return nil, false
	}
	data, err := readStable(f.name, largestPEM)
	if err != nil {
		f.at.wrong("%s %s", filepath.Base(f.name), reasonOf(err))
		return nil, false
	}
	return data, true
}

// secure reads a network's Secure Neighbor Discovery. With mode none there is none,
// and the files are not looked at.
func secure(to **topology.SendSpec) reader {
	modes := []topology.SendMode{topology.SendNone, topology.SendObserve, topology.SendPrefer, topology.SendRequire}
	return func(v value) {
		s := &topology.SendSpec{}
		var key, chain pemFile
		v.fields(keys{
			"mode":        choice(&s.Mode, topology.SendModes, modes),
			"key":         key.pem(),
			"certificate": chain.pem(),
			"min_bits":    integer(&s.MinBits, 1, send.MaxBits),
			"sec":         optional(&s.Sec, func(to *int) reader { return integer(to, 0, send.MaxOwnSec) }),
		})
		if s.Mode == topology.SendNone {
			return
		}
		*to = s
		var err error
		if data, ok := key.load(); ok {
			if s.Key, err = send.ParseKey(data); err != nil {
				key.at.wrong("%s %v", filepath.Base(key.name), err)
				return
			}
		}
		data, ok := chain.load()
		switch {
		case !ok:
		case s.Key == nil:
			if key.name == "" {
				chain.at.wrong("is of no use without the key that it is for; give key too")
			}
		default:
			if s.Chain, err = send.ParseChain(data, s.Key); err != nil {
				chain.at.wrong("%s: %v", filepath.Base(chain.name), err)
			}
		}
	}
}
