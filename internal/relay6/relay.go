// Package relay6 is the host's socket of a DHCPv6 relay agent (RFC 9915 section
// 19): what goes to external servers and what comes back from them. It knows no
// message; who is asked and where answers go is decided above it.
package relay6

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

const (
	// Port is where relay agents and servers listen (RFC 9915 section 7.2).
	Port = 547
	// patience is how long one send may wait for room in the socket.
	patience = 10 * time.Millisecond
	// maxDatagram is the largest datagram, in octets.
	maxDatagram = 65535
)

// Relay is one socket. Forward may be called while Run runs.
type Relay struct {
	conn *net.UDPConn
	// servers reports whether an address is that of a server that is asked.
	servers func(netip.Addr) bool
	port    uint16 // of the servers
	refused atomic.Uint64
}

// Listen opens the socket at an address of the host; [::]:547 is the usual one.
// servers says whose answers count: anybody else's are dropped, since an answer
// is all that makes a client believe an address. It must be safe to call at any
// time. The error says what to do.
func Listen(at netip.AddrPort, servers func(netip.Addr) bool) (*Relay, error) {
	conn, err := net.ListenUDP("udp6", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, fmt.Errorf("relay6: listen for answers of external servers: %w; stop what else uses the port, or remove `relay_to`", err)
	}
	return &Relay{conn: conn, servers: servers, port: Port}, nil
}

// Forward sends a message to a server and waits for nothing but room in the
// socket; false if it could not. The network may still lose it: clients try
// again by themselves.
func (r *Relay) Forward(server netip.Addr, message []byte) bool {
	if err := r.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return false
	}
	_, err := r.conn.WriteToUDPAddrPort(message, netip.AddrPortFrom(server, r.port))
	return err == nil
}

// Run gives deliver what servers send, one datagram after the other, until ctx
// ends, and returns nil, or any other error that ends it; the socket is closed
// then. deliver may not keep the octets.
func (r *Relay) Run(ctx context.Context, deliver func(data []byte)) error {
	defer func() { _ = r.conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = r.conn.Close() })
	defer stop()
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := r.conn.ReadFromUDPAddrPort(buf)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return errors.New("relay6: the socket was closed while it was read")
		case err != nil:
			return fmt.Errorf("relay6: receive: %w", err)
		case !r.servers(from.Addr().WithZone("")):
			r.refused.Add(1)
		default:
			deliver(buf[:n])
		}
	}
}

// Refused is how many datagrams came from elsewhere than from a server.
func (r *Relay) Refused() uint64 { return r.refused.Load() }

// Close closes the socket of a Relay that is not run.
func (r *Relay) Close() error { return r.conn.Close() }
