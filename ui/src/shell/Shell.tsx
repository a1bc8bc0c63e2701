// What is around every page: where to go, which node answers, whether what is seen is live.

import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { useCallback, useEffect, useRef, useState } from "react";

import { useEvents, useLink } from "../api/live";
import { status } from "../queries";
import { may, session } from "../session";
import { useWho } from "../who";
import { Away } from "./Away";
import { Palette } from "./Palette";
import { PLACES, useKeys } from "./keys";

const ADMIN = ["/users", "/audit"];
const OPERATOR = ["/secrets"];

export function Shell() {
  const who = useWho();
  const palette = useRef<HTMLDialogElement>(null);
  const [menu, setMenu] = useState(false);
  const path = useRouterState({ select: (state) => state.location.pathname });
  useKeys(useCallback(() => palette.current?.showModal(), []));
  useEvents();
  useEffect(() => setMenu(false), [path]);
  const places = PLACES.filter(([, to]) => (ADMIN.includes(to) ? may(who, "admin") : OPERATOR.includes(to) ? may(who, "operator") : true));
  return (
    <div className="shell">
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <nav className={menu ? "side open" : "side"} aria-label="Pages">
        <b>CronAPI</b>
        <button type="button" className="burger" aria-expanded={menu} onClick={() => setMenu(!menu)}>
          menu
        </button>
        <div className="places">
          {places.map(([, to, name]) => (
            <Link key={to} to={to} activeOptions={{ exact: to === "/" }}>
              {name}
            </Link>
          ))}
          <Link to="/settings">Settings</Link>
          <Link to="/help">Help</Link>
        </div>
        <Foot open={() => palette.current?.showModal()} />
      </nav>
      <main id="main" tabIndex={-1}>
        <Away />
        <Outlet />
      </main>
      <Palette dialog={palette} />
    </div>
  );
}

function Foot({ open }: { open: () => void }) {
  const who = useWho();
  const link = useLink();
  const { data } = useQuery(status);
  return (
    <div className="foot">
      {data && (
        <span title={`node ${data.node_id} of cluster ${data.cluster_id}`}>
          {data.role} · term {data.term}
        </span>
      )}
      <span className={`link ${link}`} role="status">
        <i aria-hidden /> {link}
      </span>
      <button type="button" className="quiet" onClick={open}>
        find <kbd>Ctrl K</kbd>
      </button>
      <span>
        {who?.user}{" "}
        <button type="button" className="quiet" onClick={() => void session.logout()}>
          log out
        </button>
      </span>
    </div>
  );
}
