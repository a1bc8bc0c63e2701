import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The daemon serves the page under /ui/ and the REST interface beside it. For work on the page:
// `npm run dev` with a node on port 8000.
const node = process.env.CRONAPI_SERVER ?? "http://127.0.0.1:8000";

export default defineConfig({
  base: "/ui/",
  plugins: [react()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: Object.fromEntries(
      [
        "auth", "jobs", "runs", "strips", "overview", "fires", "load", "activity", "timeline", "graph", "queues", "secrets", "users", "tokens", "audit",
        "events", "system", "cluster", "schedules", "apply", "readyz", "openapi.json",
      ].map((path) => [`/${path}`, node]),
    ),
  },
});
