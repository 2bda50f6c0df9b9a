// Package config reads Damselfly's configuration: YAML in the names of Neutron,
// one file or a directory of *.yaml, strict, with every mistake reported at
// once at its place.
//
// The way through it:
//
//	Load        path -> Config or Mistakes (load.go), over files of bounded size (file.go)
//	guard       bytes -> syntax tree; refuses what could grow without bounds: anchors, aliases, tags, depth (syntax.go)
//	reader      one value of the tree -> one field, or a Mistake (reader.go, scalar.go)
//	schema      which keys there are (schema.go, schema_network.go, schema_port.go, schema_dhcpv6.go, schema_group.go, schema_send.go)
//	topology    what the keys may say together is topology.Validate's; its Problems get their places here (load.go)
//	LoadPlaced  the same, and where each key stands (places.go)
//	Watch       calls back with the next Config when the files change (watch.go)
//
// # Keys and defaults
//
// reference.yaml, in this folder, names every key with a comment. What may be
// left out:
//
//	state                                   /var/lib/damselfly
//	api                                     127.0.0.1:8686
//	punt                                    auto
//	ids.groups, ids.meters                  0xdf000000, 0: object KEY has the ids from there + KEY * 16
//	limits                                  ns 100/200, na 100/200, rs 20/40, dhcpv6 50/100, echo 100/200, error
//	                                        20/40, source 20/40, log 5/10, send 10/20, inverse 5/10, opens 4000/8000 (frames a second / burst, each port);
//	                                        addresses 32, leases 16
//	networks[].mtu                          not advertised; advertisements keep to 1280 octets
//	networks[].router_advertisement:
//	  interval, min_interval                600s, 0.33 of interval (0.75 under 9s)
//	  lifetime                              1800s with a router (three intervals where interval is longer), 0s without
//	  preference                            medium; likewise of each route
//	  hop_limit                             64
//	  reachable_time, retrans_timer         0s: hosts decide
//	  encrypted_dns[].alpn                  [dot]
//	networks[].inverse_nd                   false
//	networks[].send.mode                    none; min_bits 1024, sec 1
//	networks[].subnets[]:
//	  mode                                  slaac
//	  gateway                               the first address of the prefix
//	  autonomous, on_link, pd_preferred     true but in dhcpv6-stateful, true, false
//	  preferred, valid                      4h, 24h; where one is given the other gives way
//	  rapid_commit                          false
//	  options                               dns-servers and domain-search of dns and search
//	networks[].delegation[]:
//	  preferred, valid                      4h, 24h; where one is given the other gives way
//	routers[].networks[]:
//	  link_local, mac                       fe80::1, made of the network's name
//	ports[].mac                             external_ids:attached-mac of the Interface
//	ports[].router, unknown, dhcpv6_relay   false
//	ports[].port_security                   true, false with unknown
//	ports[].allowed_address_pairs[].mac     the port's
//	ports[].security_groups                 not filtered; [] lets nothing in or out
//	security_groups[].stateless             false
//	security_groups[].rules[]:
//	  ethertype, protocol, ports, icmp      all that there are
//	  remote_prefix, remote_group           anywhere
//	  action, log                           allow, false
//
// The group `default` is there unless it is configured: all may leave, and what
// members of it send may come in. A group without a rule for egress lets all
// leave. A packet that one rule rejects is rejected, whatever others allow; a
// rejected IPv6 packet is answered with an error, one of IPv4 only dropped.
// Neighbor Discovery, MLD, and DHCPv6 of clients pass whatever the rules say; so
// do ICMPv6 errors about a connection that passes and, for stateless groups, which
// know no connections, all ICMPv6 errors.
//
// The modes dhcpv6-stateless and dhcpv6-stateful set the flags of Router
// Advertisements and say what the DHCPv6 server gives, so that both agree. Where
// no subnet has them, a delegation sets the O flag, so that guests ask.
package config
