package store

// Bucket names one kind of record. A new bucket is a new format: it needs a
// step in migrations, or an older program would take it for damage.
type Bucket string

const (
	bucketMeta      Bucket = "meta"       // the format number; this package alone writes it
	BucketKeys      Bucket = "keys"       // kind and name -> small number, see AllocateKeys
	BucketPrefixes  Bucket = "advertised" // network and prefix -> flags and lifetimes, see RecordAdvertised
	BucketRouters   Bucket = "routers"    // network -> identity of its router, see RecordRouter
	BucketLeases    Bucket = "leases"     // port, kind, network and address -> lease, see package lease; read and written by Journal
	BucketServer    Bucket = "dhcpv6"     // what the DHCPv6 server is known by, see package lease
	BucketModifiers Bucket = "modifiers"  // network -> its router's key and what its address is made of beside it, see RecordModifier
	BucketRoutes    Bucket = "routes"     // network and prefix -> a route that guests were told of, see RecordRoutes
	BucketNeighbors Bucket = "neighbors"  // network and address -> a neighbour that nobody configured, see RecordNeighbors
	BucketUpstreams Bucket = "upstreams"  // network and address -> a default router behind its uplink, see RecordNeighbors
	// BucketMulticastRouters is network -> who advertised itself as a multicast router, see RecordMulticastRouters.
	BucketMulticastRouters Bucket = "multicast routers"
	BucketLearned          Bucket = "learned" // network and address -> port that holds it, see package binding
)

// allBuckets are the buckets of the newest format.
func allBuckets() []Bucket {
	return []Bucket{bucketMeta, BucketKeys, BucketPrefixes, BucketRouters, BucketLeases, BucketServer, BucketLearned, BucketModifiers, BucketRoutes, BucketNeighbors, BucketUpstreams, BucketMulticastRouters}
}
