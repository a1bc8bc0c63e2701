// The cluster: every node's place in the log, who leads, what each does; and what an admin can do.

import { Link } from "@tanstack/react-router";
import { useQuery, useQueryClient } from "@tanstack/react-query";

import { api, take } from "../api/client";
import { absolute, span } from "../model/time";
import { nodes, status } from "../queries";
import { LogLane } from "../parts/LogLane";
import "../parts/parts.css";
import { Ask, Fault, Head, Skeleton, When } from "../parts/small";
import { may } from "../session";
import { useWho } from "../who";

export function Cluster() {
  const list = useQuery(nodes);
  const own = useQuery(status);
  const who = useWho();
  const client = useQueryClient();
  if (list.isPending) return <Skeleton rows={6} />;
  if (!list.data) return <Fault error={list.error} again={() => void list.refetch()} />;
  const items = list.data.items;
  const most = Math.max(1, ...items.map((node) => node.applied_index ?? 0));
  const live = items.filter((node) => node.live).length;
  const voters = items.filter((node) => node.role !== "learner");
  const quorum = Math.floor(voters.length / 2) + 1;
  const spare = voters.filter((node) => node.live).length - quorum;
  const leads = items.some((node) => node.role === "leader");
  const again = () => client.invalidateQueries();
  return (
    <>
      <Head
        title="Cluster"
        about={
          own.data && (
            <>
              term {own.data.term} · log at {own.data.committed_index.toLocaleString("en")} · version {own.data.version} · this node up for {span(own.data.uptime_seconds * 1000)}
            </>
          )
        }
      >
        {may(who, "admin") && items.length > 1 && (
          <Ask label="Hand over leadership" title="Hand over leadership" same={{ method: "POST", path: "/cluster/transfer", body: {}, cli: "cronapi cluster transfer" }} act={() => take(api.POST("/cluster/transfer", { body: {} })).then(again)}>
            <p>The voter that is furthest takes over. Fires go on: the next one is a few milliseconds late at the most.</p>
          </Ask>
        )}
      </Head>
      {list.error && <Fault error={list.error} again={() => void list.refetch()} />}
      <p className="say">
        {leads ? (
          <>
            {live} of {items.length} {items.length === 1 ? "node is" : "nodes are"} there.{" "}
            {voters.length === 1 ? "One voter: without it nothing fires." : spare > 0 ? `${spare} more may fail, and fires go on.` : <span className="bad">One more, and nothing fires.</span>}
          </>
        ) : (
          <span className="bad">The cluster has no leader as far as this node knows: nothing fires until a majority is back.</span>
        )}
      </p>
      <table>
        <thead>
          <tr>
            <th>node</th>
            <th>role</th>
            <th className="fill hide">log, applied</th>
            <th className="right">behind</th>
            <th className="right hide">slots</th>
            <th className="hide">labels</th>
            <th className="hide">up since</th>
            <th />
          </tr>
        </thead>
        <tbody>
          {items.map((node) => {
            const at = node.applied_index ?? 0;
            return (
              <tr key={node.id}>
                <td className="name" title={String(node.id)}>
                  {node.address}
                </td>
                <td>
                  {node.role}
                  {!node.live && <span className="bad"> away</span>}
                  {node.live && !node.accepting && <span className="warn"> draining</span>}
                </td>
                <td className="fill hide">
                  <progress max={most} value={at} aria-label={`applied ${at} of ${most}`} />
                </td>
                <td className="right">{node.applied_index == null ? "?" : (most - at).toLocaleString("en")}</td>
                <td className="right hide">
                  <Link to="/timeline" search={{ by: "node", q: `node ${node.id}` }} title="What it runs, on the timeline">
                    {node.busy} / {node.slots}
                  </Link>
                </td>
                <td className="dim hide">{Object.entries(node.labels).map(([key, value]) => `${key}=${value}`).join(" ")}</td>
                <td className="dim hide">{node.up_since ? <When at={node.up_since} past /> : ""}</td>
                <td className="right">
                  {may(who, "admin") && items.length > 1 && (
                    <Ask label="Remove" title={`Remove the node ${node.address}`} same={{ method: "DELETE", path: `/cluster/nodes/${node.id}`, cli: `cronapi cluster remove ${node.id}` }} danger confirm={node.address} act={() => take(api.DELETE("/cluster/nodes/{id}", { params: { path: { id: node.id } } })).then(again)}>
                      <p>
                        Its {node.busy} {node.busy === 1 ? "attempt is" : "attempts are"} lost, and it has no vote any more. Started again it joins anew.
                      </p>
                    </Ask>
                  )}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {own.data && <LogLane nodes={items} term={own.data.term} />}
      {own.data && (
        <>
          <h2>This node</h2>
          <dl className="facts-list">
            <dt>cluster</dt>
            <dd>{own.data.cluster_id}</dd>
            <dt>log time</dt>
            <dd>{absolute(own.data.log_time)}</dd>
            <dt>checkpoint at</dt>
            <dd>{own.data.checkpoint_index.toLocaleString("en")}</dd>
            <dt>log</dt>
            <dd>{mib(own.data.storage.log_bytes)}</dd>
            <dt>history</dt>
            <dd>{mib(own.data.storage.history_bytes)}</dd>
            <dt>fired since the beginning</dt>
            <dd>{own.data.totals.fired.toLocaleString("en")}</dd>
            <dt>failed</dt>
            <dd>{own.data.totals.failed.toLocaleString("en")}</dd>
            <dt>lost</dt>
            <dd>{own.data.totals.lost.toLocaleString("en")}</dd>
          </dl>
        </>
      )}
    </>
  );
}

function mib(bytes: number): string {
  return `${(bytes / 1048576).toFixed(1)} MiB`;
}
