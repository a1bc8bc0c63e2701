import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode, useEffect } from "react";
import { createRoot } from "react-dom/client";

import { Refusal } from "./api/client";
import { Login } from "./pages/Login";
import { keep } from "./model/push";
import { router } from "./router";
import { session } from "./session";
import { setTheme, theme } from "./theme";
import { Elsewhere } from "./shell/Away";
import { useWho } from "./who";
import "./style.css";

// What was known stays visible when a node is away; what will surely be refused is not asked again.
const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      retry: (count, error) => error instanceof Refusal && error.passing && count < 5,
      retryDelay: (count) => Math.min(500 * 2 ** count, 5_000),
    },
  },
});

function Page() {
  const who = useWho();
  const user = who?.user;
  useEffect(() => {
    // What can't be told now is told the next time.
    if (user) void keep(user).catch(() => undefined);
  }, [user]);
  if (who === undefined) {
    return (
      <main className="login">
        <Elsewhere opening />
      </main>
    );
  }
  if (who === null) return <Login />;
  return <RouterProvider router={router} />;
}

setTheme(theme());
void session.begin();
if ("serviceWorker" in navigator && import.meta.env.PROD) {
  void navigator.serviceWorker.register("/ui/sw.js", { scope: "/ui/" }).catch(() => undefined);
}
const place = document.getElementById("page");
if (place) {
  createRoot(place).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <Page />
      </QueryClientProvider>
    </StrictMode>,
  );
}
