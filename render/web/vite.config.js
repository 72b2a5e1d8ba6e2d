import { defineConfig } from "vite";

// Names without hashes: a build replaces files, and git shows what changed. The collector says by ETag whether they did.
export default defineConfig({
  base: "./",
  build: {
    outDir: "../tracescape_render/web/built",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rollupOptions: {
      output: {
        entryFileNames: "page/[name].js",
        chunkFileNames: "page/[name].js",
        assetFileNames: "page/[name][extname]",
      },
    },
  },
});
