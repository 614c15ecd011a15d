package platform

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/preflight"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

const (
	canary = "cAnArYcAnArYcAnArYcAnArY42"
	plainE = "TOWER_DB_URL=jdbc:mysql://db:3306/tower"
)

func on(c container.InspectResponse, name, address string, aliases ...string) container.InspectResponse {
	networks := map[string]*network.EndpointSettings{}
	if c.NetworkSettings != nil {
		networks = c.NetworkSettings.Networks
	}
	networks[name] = &network.EndpointSettings{IPAddress: address, Aliases: aliases, Gateway: "172.20.0.1"}
	c.NetworkSettings = &container.NetworkSettings{Networks: networks}
	return c
}

func stopped(c container.InspectResponse) container.InspectResponse {
	c.State = &container.State{Status: "exited"}
	return c
}

func hosts(c container.InspectResponse, entries ...string) container.InspectResponse {
	c.HostConfig = &container.HostConfig{ExtraHosts: entries}
	return c
}

func TestTheDatabaseIsWhereTheBackendSays(t *testing.T) {
	backend := func(url string) container.InspectResponse {
		return on(inspected("tower-backend-1", "backend", "TOWER_DB_URL="+url, "TOWER_DB_USER=tower", "TOWER_DB_PASSWORD="+canary), "net", "172.20.0.3")
	}
	db := on(inspected("tower-db-1", "db"), "net", "172.20.0.2", "mysql.internal")
	tests := []struct {
		name       string
		containers []container.InspectResponse
		host       string
	}{
		{"a service", []container.InspectResponse{backend("jdbc:mysql://db:3306/tower"), db}, "172.20.0.2"},
		{"a service, in capitals", []container.InspectResponse{backend("jdbc:mysql://DB:3306/tower"), db}, "172.20.0.2"},
		{"an alias", []container.InspectResponse{backend("jdbc:mysql://mysql.internal:3306/tower"), db}, "172.20.0.2"},
		{"a container's name", []container.InspectResponse{backend("jdbc:mysql://tower-db-1:3306/tower"), db}, "172.20.0.2"},
		{"RDS", []container.InspectResponse{backend("jdbc:mysql://x.rds.amazonaws.com:3306/tower"), db}, "x.rds.amazonaws.com"},
		{"a service on another network", []container.InspectResponse{backend("jdbc:mysql://db/tower"), on(inspected("d", "db"), "other", "10.0.0.2")}, "db"},
		{"a service on the second network that is shared", []container.InspectResponse{on(backend("jdbc:mysql://db/tower"), "back", "10.1.0.3"), on(on(inspected("d", "db"), "other", "10.0.0.2"), "back", "10.1.0.2")}, "10.1.0.2"},
		{"a backend that is not running", []container.InspectResponse{stopped(backend("jdbc:mysql://db/tower")), db}, "172.20.0.2"},
		{"the first of two replicas is stopped", []container.InspectResponse{backend("jdbc:mysql://db/tower"), stopped(on(inspected("d", "db"), "net", "")), db}, "172.20.0.2"},
		{"a name of extra_hosts", []container.InspectResponse{hosts(backend("jdbc:mysql://db/tower"), "other:1.2.3.4", "db:10.9.9.9"), db}, "10.9.9.9"},
		{"the VM itself", []container.InspectResponse{hosts(backend("jdbc:mysql://host.docker.internal/tower"), "host.docker.internal:host-gateway")}, "172.20.0.1"},
		{"on the default bridge names are not resolved", []container.InspectResponse{on(inspected("b", "backend", plainE), "bridge", "172.17.0.3"), on(inspected("d", "db"), "bridge", "172.17.0.2")}, "db"},
		{"no network at all", []container.InspectResponse{inspected("b", "backend", plainE), db}, "db"},
		{"a backend that ran earlier next to one that runs", []container.InspectResponse{stopped(backend("jdbc:mysql://old-host/tower")), backend("jdbc:mysql://db/tower"), db}, "172.20.0.2"},
		{"a backend without the URL next to one with it", []container.InspectResponse{inspected("a", "backend"), stopped(backend("jdbc:mysql://db/tower")), db}, "172.20.0.2"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := describe("tower", test.containers, usual()).Database()
			require.NoError(t, err)
			assert.Equal(t, test.host, got.Host)
			assert.Equal(t, 3306, got.Port)
			assert.Equal(t, "tower", got.Name)
		})
	}
}

func TestTheLoginIsTheBackendsOrEmpty(t *testing.T) {
	got, err := describe("t", []container.InspectResponse{inspected("b", "backend", plainE, "TOWER_DB_USER=u=1", "TOWER_DB_PASSWORD=p=2", "EMPTY")}, usual()).Database()
	require.NoError(t, err)
	assert.Equal(t, "u=1", got.User)
	assert.True(t, got.Password.Equal(secret.New("p=2")))
	got, err = describe("t", []container.InspectResponse{inspected("b", "backend", plainE)}, usual()).Database()
	require.NoError(t, err)
	assert.Empty(t, got.User, "it comes from SSM")
	assert.True(t, got.Password.IsEmpty())
}

func TestADatabaseThatCannotBeFoundIsSaidWithoutSecrets(t *testing.T) {
	tests := []struct {
		name       string
		containers []container.InspectResponse
		code       fault.Code
		says       string
	}{
		{"no backend", []container.InspectResponse{inspected("d", "db")}, fault.CodeDatabaseUnknown, "has no backend container"},
		{"no URL", []container.InspectResponse{inspected("b-1", "backend", "TOWER_DB_PASSWORD="+canary)}, fault.CodeDatabaseUnknown, "container b-1 has no TOWER_DB_URL"},
		{"an URL with a password", []container.InspectResponse{inspected("b-1", "backend", "TOWER_DB_URL=jdbc:mysql://u:"+canary+"@a,b/tower")}, fault.CodeDatabaseUnknown, "several hosts"},
		{"another kind", []container.InspectResponse{inspected("b-1", "backend", "TOWER_DB_URL=jdbc:oracle:"+canary)}, fault.CodeDatabaseUnknown, "jdbc:mysql://"},
		{"a container that is down", []container.InspectResponse{on(inspected("b", "backend", plainE), "net", "1.2.3.4"), stopped(on(inspected("tower-db-1", "db"), "net", ""))}, fault.CodeDatabaseUnavailable, "docker start tower-db-1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := describe("tower", test.containers, usual()).Database()
			assert.Equal(t, test.code, faultOf(t, err).Code)
			require.ErrorContains(t, err, test.says)
			assert.NotContains(t, err.Error(), canary)
		})
	}
}

func TestBeforeThereIsABackendTheComposeFilesSayWhereTheDatabaseIs(t *testing.T) {
	config, err := preflight.ParseConfig([]byte(`{"name": "tower", "networks": {"inner": {"name": "tower_inner"}}, "services": {"backend": {"image": "x",
	  "environment": {"TOWER_DB_URL": "jdbc:mysql://db:3306/tower", "TOWER_DB_USER": "tower", "TOWER_DB_PASSWORD": "` + canary + `"},
	  "networks": {"inner": null}, "extra_hosts": ["other=10.9.9.9", "vm:host-gateway"]}}}`))
	require.NoError(t, err)
	starting, backend := on(inspected("tower-db-1", "db"), "tower_inner", ""), config.Services["backend"]
	starting.State = &container.State{Status: "created"}
	at := func(url string, db container.InspectResponse) (string, error) {
		found := describe("tower", []container.InspectResponse{db, on(inspected("r", "redis"), "tower_inner", "172.20.0.9")}, usual())
		backend.Environment["TOWER_DB_URL"] = secret.New(url)
		found.backends = append(found.backends, found.expected(backend))
		where, err := found.Database()
		if err == nil {
			assert.Equal(t, []any{"tower", true}, []any{where.User, where.Password.Equal(secret.New(canary))})
		}
		return where.Host, err
	}
	_, err = at("jdbc:mysql://db:3306/tower", starting)
	assert.Equal(t, fault.CodeDatabaseUnavailable, faultOf(t, err).Code, "it is waited for")
	running := on(inspected("tower-db-1", "db"), "tower_inner", "172.20.0.2")
	for host, want := range map[string]string{"db": "172.20.0.2", "other": "10.9.9.9", "vm": "172.20.0.1", "x.rds.amazonaws.com": "x.rds.amazonaws.com"} {
		got, err := at("jdbc:mysql://"+host+":3306/tower", running)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}

func TestAFoundPlatformPrintsNoSecret(t *testing.T) {
	found := describe("tower", []container.InspectResponse{inspected("b", "backend", "TOWER_DB_URL=jdbc:mysql://u:"+canary+"@db/tower", "TOWER_DB_PASSWORD="+canary, "X="+canary)}, usual())
	text, err := json.Marshal(found)
	require.NoError(t, err)
	assert.NotContains(t, string(text)+fmt.Sprintf("%v %+v %#v", found, found, found.backends), canary)
}

func TestTheDatabaseIsNeverThatOfAnotherRole(t *testing.T) {
	const elsewhere = "TOWER_DB_URL=jdbc:mysql://groundswell:3306/other"
	containers := []container.InspectResponse{inspected("tower-groundswell-1", "groundswell", elsewhere), inspected("tower-cron-1", "cron", elsewhere)}
	_, err := describe("tower", containers, usual()).Database()
	assert.Equal(t, fault.CodeDatabaseUnknown, faultOf(t, err).Code)
	got, err := describe("tower", append(containers, inspected("tower-backend-1", "backend", "TOWER_DB_URL=jdbc:mysql://x.rds.amazonaws.com:3306/tower")), usual()).Database()
	require.NoError(t, err)
	assert.Equal(t, "x.rds.amazonaws.com", got.Host)
}
