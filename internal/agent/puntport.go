package agent

import (
	"damselfly/flows"
	"damselfly/internal/config"
	"damselfly/internal/ovsdb"
)

// transport is how the configuration in force wants frames to come.
func (a *Agent) transport() config.Punt {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.config.Punt
}

// byPort reports whether frames come by the pulse port, which is in on the bridge.
func byPort(wanted config.Punt, in ovsdb.Interface) bool {
	return wanted != config.PuntPacketIn && in.OFPort != 0
}

// transportName is how frames come by flows made for env.
func transportName(env flows.Env) string {
	if env.PuntPort {
		return config.PuntPort.String()
	}
	return config.PuntPacketIn.String()
}

// tagOctets is what a frame at the punt port is longer by.
const tagOctets = 4

// fitPort has the punt port take the longest frame of any other port.
func (a *Agent) fitPort(view ovsdb.View, name string) {
	own, ok := view.Interface(name)
	if want := longest(view, own) + tagOctets; ok && a.state.pulse != nil && want > tagOctets && want != own.MTU {
		if err := a.state.pulse.SetMTU(want); err != nil {
			a.state.once(a.log, "mtu", err.Error()+"; frames longer than the punt port's MTU are lost")
			return
		}
		a.state.once(a.log, "mtu", "")
	}
}

// longest is the MTU of the largest port but for the punt port. One of Open
// vSwitch's own may have it only because the punt port has, which would let both
// grow for ever.
func longest(view ovsdb.View, own ovsdb.Interface) (mtu int) {
	for i := range view.Interfaces {
		in := &view.Interfaces[i]
		if in.Name != own.Name && !(in.Type == "internal" && in.MTU == own.MTU) {
			mtu = max(mtu, in.MTU)
		}
	}
	return mtu
}
