"""Makes frames.txt: Multicast Listener and Router Discovery as scapy writes it.

Each line is a name, who sends it (guest, other, nested, router or uplink), how it
is to end, and the frame. Run with scapy 2.5.0: python3 frames.py > frames.txt
"""
from scapy.all import *

MACS = {"guest": "02:00:00:00:00:11", "other": "02:00:00:00:00:12", "router": "02:00:00:00:00:13", "nested": "02:00:00:00:0c:01", "uplink": "02:00:00:00:0b:01"}
LL = {"guest": "fe80::ff:fe00:11", "other": "fe80::ff:fe00:12", "router": "fe80::ff:fe00:13", "nested": "fe80::c01", "uplink": "fe80::b01"}
G = "ff15::1234"
RA = IPv6ExtHdrHopByHop(options=[RouterAlert(value=0)])

def mac(dst):
    b = inet_pton(socket.AF_INET6, dst)
    return "33:33:" + ":".join("%02x" % x for x in b[12:])

def frame(who, dst, message, hlim=1, src=None, ext=RA, edit=None, raw=None):
    p = Ether(src=MACS[who], dst=mac(dst)) / IPv6(src=src or LL[who], dst=dst, hlim=hlim)
    for e in ([] if ext is None else ext if isinstance(ext, list) else [ext]):
        p = p / e
    p = Ether(bytes(p / message))
    b = bytes(p)
    return edit(b) if edit else b

def rec(rtype, dst=G, sources=(), auxdata=b""):
    return ICMPv6MLDMultAddrRec(rtype=rtype, dst=dst, sources=list(sources), auxdata=auxdata, auxdata_len=len(auxdata) // 4)  # in words of four octets, which scapy does not count

def report2(*records):
    return ICMPv6MLReport2(records=list(records))

def flip(offset, bit=1):
    def f(b):
        c = bytearray(b)
        c[offset] ^= bit
        return bytes(c)
    return f

def summed(change):
    """Changes the message behind all headers (62 octets with a Router Alert) and sums it anew."""
    def f(b):
        m = bytearray(b[62:])
        m = bytearray(change(m))
        m[2:4] = b"\0\0"
        ip = bytearray(b[14:62])
        ip[4:6] = (len(m) + 8).to_bytes(2, "big")
        pseudo = bytes(ip[8:40]) + len(m).to_bytes(4, "big") + b"\0\0\0\x3a"
        s = checksum(pseudo + bytes(m))
        m[2:4] = s.to_bytes(2, "big")
        return b[:14] + bytes(ip) + bytes(m)
    return f

def put(offset, value):
    def f(m):
        m[offset:offset + len(value)] = value
        return m
    return summed(f)

def cut(n):
    return summed(lambda m: m[:n])

R2, R1, RT, SN, ALL = "ff02::16", G, "ff02::2", "ff02::6a", "ff02::1"
S = ["2001:db8::1", "2001:db8::2"]
cases = []

def case(name, who, why, dst, message, **more):
    cases.append((name, who, why, frame(who, dst, message, **more)))

# Reports, RFC 9777 section 5.2.
for name, t, sources in (("IS_IN", 1, S), ("IS_EX", 2, ()), ("TO_IN", 3, S), ("TO_EX", 4, S), ("ALLOW", 5, S), ("BLOCK", 6, S)):
    case("report " + name, "guest", "listener-heard", R2, report2(rec(t, sources=sources)))
case("report of several records", "guest", "listener-heard", R2, report2(rec(4), rec(4, "ff02::1:ff00:11"), rec(1, "ff15::2", S)))
case("report with auxiliary data", "guest", "listener-heard", R2, report2(rec(4, auxdata=b"12345678")))
case("report with something behind", "guest", "listener-heard", R2, report2(rec(4)) / Raw(b"behind"))
case("report without records", "guest", "listener-heard", R2, report2())
case("report from ::", "guest", "listener-heard", R2, report2(rec(4)), src="::")
case("report of a reserved record type", "guest", "listener-heard", R2, report2(rec(7), rec(0, "ff15::2"), rec(255, "ff15::3")))
case("report with a code", "guest", "listener-heard", R2, report2(rec(4)), edit=put(1, b"\x07"))
case("report with reserved bits", "guest", "listener-heard", R2, report2(rec(4)), edit=put(4, b"\xff\xff"))
case("report from a nested host", "nested", "listener-heard", R2, report2(rec(4)))
case("report behind the uplink", "uplink", "listener-heard", R2, report2(rec(4)))
case("report behind more options", "guest", "listener-heard", R2, report2(rec(4)),
     ext=IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0\0"), RouterAlert(value=0), Pad1(), Pad1()]))
case("report behind two headers", "guest", "listener-heard", R2, report2(rec(4)), ext=[RA, IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0\0\0\0")])])
case("report of many sources", "guest", "listener-heard", R2, report2(rec(1, sources=["2001:db8::%x" % (i + 1) for i in range(80)])))
case("report v1", "guest", "listener-heard", R1, ICMPv6MLReport(mladdr=G))
case("report v1 from ::", "guest", "listener-heard", R1, ICMPv6MLReport(mladdr=G), src="::")
case("report v1 for a solicited-node group", "guest", "listener-heard", "ff02::1:ff00:11", ICMPv6MLReport(mladdr="ff02::1:ff00:11"))
case("done", "guest", "listener-heard", RT, ICMPv6MLDone(mladdr=G))

for name, dst, m in (("report", R2, report2(rec(4))), ("report v1", R1, ICMPv6MLReport(mladdr=G)), ("done", RT, ICMPv6MLDone(mladdr=G)),
                     ("query", ALL, ICMPv6MLQuery2(QQIC=125)), ("solicitation", RT, ICMPv6MRD_Solicitation()),
                     ("advertisement", SN, ICMPv6MRD_Advertisement(advinter=20, queryint=125, robustness=2)), ("termination", SN, ICMPv6MRD_Termination())):
    who = "router" if name in ("query", "advertisement", "termination") else "guest"
    case(name + " with hop limit 2", who, "hop-limit-not-1", dst, m, hlim=2)
    case(name + " with hop limit 255", who, "hop-limit-not-1", dst, m, hlim=255)
    case(name + " without Router Alert", who, "no-router-alert", dst, m, ext=None)
    case(name + " with a Router Alert of RSVP", who, "no-router-alert", dst, m, ext=IPv6ExtHdrHopByHop(options=[RouterAlert(value=1)]))
    case(name + " with padding for options", who, "no-router-alert", dst, m, ext=IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0\0\0\0")]))
    case(name + " with an option beyond its header", who, "no-router-alert", dst, m, edit=lambda b: b[:57] + b"\x40" + b[58:])
    case(name + " with the option in a Destination header", who, "no-router-alert", dst, m, ext=IPv6ExtHdrDestOpt(options=[RouterAlert(value=0)]))
    case(name + " with a wrong checksum", who, "checksum", dst, m, edit=flip(64))
    case(name + " from a global address", who, "source-not-link-local", dst, m, src={"guest": "fd00:b1::ff:fe00:11", "router": "fd00:b1::ff:fe00:13"}[who])
    case(name + " from another's address", who, "forged-source", dst, m, src=LL["other"])
    case(name + " from the gateway's address", who, "forged-source", dst, m, src="fe80::a")
    case(name + " from another's MAC", who, "forged-mac", dst, m, edit=lambda b: b[:6] + bytes.fromhex("020000000012") + b[12:])
    if name not in ("solicitation", "termination"):  # these have but the header of ICMPv6
        case(name + " cut in its fixed part", who, "short", dst, m, edit=cut(7))
    case(name + " in an atomic fragment", who, "fragment", dst, m, ext=[RA, IPv6ExtHdrFragment(offset=0, m=0, id=7)])
    case(name + " as a first fragment", who, "fragment", dst, m, ext=[RA, IPv6ExtHdrFragment(offset=0, m=1, id=7)])
    case(name + " behind a Routing header of type 0", who, "routing-header", dst, m, ext=[RA, IPv6ExtHdrRouting(type=0, addresses=["fe80::1"])])

# What lies about its length.
case("report that claims more records", "guest", "mld-length", R2, report2(rec(4)), edit=put(6, b"\x00\x02"))
case("report that claims 65535 records", "guest", "mld-length", R2, report2(rec(4)), edit=put(6, b"\xff\xff"))
case("report that claims more sources", "guest", "mld-length", R2, report2(rec(1, sources=S)), edit=put(10, b"\x00\x03"))
case("report that claims 65535 sources", "guest", "mld-length", R2, report2(rec(1, sources=S)), edit=put(10, b"\xff\xff"))
case("report that claims more auxiliary data", "guest", "mld-length", R2, report2(rec(4)), edit=put(9, b"\x01"))
case("report cut in a record", "guest", "mld-length", R2, report2(rec(4)), edit=cut(20))
case("report cut in a source", "guest", "mld-length", R2, report2(rec(1, sources=S)), edit=cut(8 + 20 + 20))
case("report v1 cut", "guest", "short", R1, ICMPv6MLReport(mladdr=G), edit=cut(23))
case("query of 26 octets", "router", "mld-length", ALL, ICMPv6MLQuery2(), edit=cut(26))
case("query that claims more sources", "router", "mld-length", G, ICMPv6MLQuery2(mladdr=G, sources=S), edit=put(26, b"\x00\x03"))
case("advertisement cut", "router", "short", SN, ICMPv6MRD_Advertisement(), edit=cut(7))

# About what is no group.
case("report about ::", "guest", "mld-not-a-group", R2, report2(rec(4, "::")))
case("report about a unicast address", "guest", "mld-not-a-group", R2, report2(rec(4), rec(4, "2001:db8::1")))
case("report v1 about ::", "guest", "mld-not-a-group", "ff02::1", ICMPv6MLReport(mladdr="::"))
case("done about a unicast address", "guest", "mld-not-a-group", RT, ICMPv6MLDone(mladdr="fe80::1"))
case("query about a unicast address", "router", "mld-not-a-group", ALL, ICMPv6MLQuery2(mladdr="2001:db8::1"))
case("general query to a group", "router", "mld-destination", G, ICMPv6MLQuery2())
case("general query v1 to all routers", "router", "mld-destination", RT, ICMPv6MLQuery())

# Queries, RFC 9777 section 5.1.
case("query", "router", "relayed", ALL, ICMPv6MLQuery2(mrd=10000, QRV=2, QQIC=125))
case("query v1", "router", "relayed", ALL, ICMPv6MLQuery(mrd=10000))
case("query about a group", "router", "relayed", G, ICMPv6MLQuery2(mladdr=G, mrd=1000))
case("query about sources", "router", "relayed", G, ICMPv6MLQuery2(mladdr=G, mrd=1000, S=1, sources=S))
case("query behind the uplink", "uplink", "relayed", ALL, ICMPv6MLQuery2(mrd=10000, QQIC=125))
case("query with something behind", "router", "relayed", ALL, ICMPv6MLQuery2() / Raw(b"behind"))
case("query from ::", "router", "unspecified-source", ALL, ICMPv6MLQuery2(), src="::")
case("query of a guest", "guest", "guest-mld-query", ALL, ICMPv6MLQuery2())
case("query v1 of a guest", "guest", "guest-mld-query", ALL, ICMPv6MLQuery())
case("query of a nested host", "nested", "guest-mld-query", ALL, ICMPv6MLQuery2())

# Multicast Router Discovery, RFC 4286.
case("advertisement", "router", "relayed", SN, ICMPv6MRD_Advertisement(advinter=20, queryint=125, robustness=2))
case("advertisement behind the uplink", "uplink", "relayed", SN, ICMPv6MRD_Advertisement(advinter=20))
case("advertisement of a guest", "guest", "guest-mld-query", SN, ICMPv6MRD_Advertisement())
case("advertisement to all nodes", "router", "mld-destination", ALL, ICMPv6MRD_Advertisement())
case("advertisement from ::", "router", "unspecified-source", SN, ICMPv6MRD_Advertisement(), src="::")
case("solicitation", "guest", "multicast-router-asked", RT, ICMPv6MRD_Solicitation())
case("solicitation to all snoopers", "guest", "mld-destination", SN, ICMPv6MRD_Solicitation())
case("solicitation from ::", "guest", "unspecified-source", RT, ICMPv6MRD_Solicitation(), src="::")
case("termination", "router", "relayed", SN, ICMPv6MRD_Termination())
case("termination behind the uplink", "uplink", "relayed", SN, ICMPv6MRD_Termination())
case("termination of a guest", "guest", "guest-mld-query", SN, ICMPv6MRD_Termination())
case("termination to all routers", "router", "mld-destination", RT, ICMPv6MRD_Termination())

for name, who, why, b in cases:
    print("|".join((name, who, why, b.hex())))
