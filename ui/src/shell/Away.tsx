// What is said while the node does not answer: where else the page goes on.

import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { api, take } from "../api/client";
import { useLink } from "../api/live";
import { others, remember } from "../api/others";

/** A node that restarts is back before this, in milliseconds. */
const PATIENCE = 2_500;

/** Other nodes at the same place of the page. */
export function Elsewhere({ opening }: { opening?: boolean }) {
  const [shown, show] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => show(true), PATIENCE);
    return () => clearTimeout(timer);
  }, []);
  if (!shown) return null;
  const hosts = others();
  return (
    <p className="away" role="alert">
      This node does not answer. {opening ? "The page opens" : "What you see is as it was; the page goes on"} by itself once the node is back.
      {hosts.length > 0 && (
        <>
          {" "}
          Go on with{" "}
          {hosts.map((host, index) => (
            <span key={host}>
              {index > 0 && " or "}
              <a href={`${location.protocol}//${host}${location.pathname}${location.search}`}>{host}</a>
            </span>
          ))}
          .
        </>
      )}
    </p>
  );
}

export function Away() {
  const link = useLink();
  useQuery({
    queryKey: ["addresses"],
    queryFn: async () => {
      remember((await take(api.GET("/cluster/nodes"))).items);
      return true;
    },
    refetchInterval: 60_000,
    meta: { live: false },
  });
  return link === "reconnecting" ? <Elsewhere /> : null;
}
