package config

import "damselfly/internal/topology"

func floating(f *topology.FloatingSpec) reader {
	forms := []topology.Form{topology.RoutedForm, topology.NATForm, topology.NPTv6Form}
	return func(v value) {
		v.fields(keys{
			"form":    choice(&f.Form, topology.Forms, forms),
			"address": address(&f.Address),
			"prefix":  prefix(&f.Prefix, "2001:db8:f::/48"),
			"network": text(&f.Network),
			"port":    text(&f.Port),
			"fixed":   addressOrPrefix(&f.Fixed),
		})
	}
}
