//! Looks: one rule a class, dark ones for readers who prefer them.
//!
//! Colours are written out and not kept in variables, since converters to other formats know
//! none. Every class begins with `tg-`: an SVG inside a page shares its names with the page.

/// What stands before the drawing itself: rules, arrow heads, icons of statuses.
pub(super) const DEFINITIONS: &str = r##"<style>
.tg{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","DejaVu Sans",sans-serif}
.tg-bg{fill:#ffffff}
.tg text{fill:#1f2328}
.tg-t{font-size:12px;font-weight:600}
.tg-id{font-size:10px}
.tg text.tg-id,.tg text.tg-m{fill:#59636e}
.tg-b{stroke-width:1.2}
.tg-none{fill:#ffffff;stroke:#afb8c1}
.tg-pending{fill:#f6f8fa;stroke:#afb8c1}
.tg-in-progress{fill:#ddf4ff;stroke:#2188ff}
.tg-completed{fill:#dafbe1;stroke:#3fa75c}
.tg-failed{fill:#ffebe9;stroke:#e5534b}
.tg-blocked{fill:#fff1d6;stroke:#c69026}
.tg-missing{fill:none;stroke:#8c959f;stroke-dasharray:2 3}
.tg-risk-trivial{fill:#fee0b6}
.tg-risk-low{fill:#fdb863}
.tg-risk-medium{fill:#f0803c}
.tg-risk-high{fill:#d7301f}
.tg-risk-critical{fill:#7f0000}
.tg-e{fill:none;stroke:#9aa4af;stroke-width:1.1;marker-end:url(#tg-a)}
.tg-long{stroke-opacity:.62}
.tg-e.tg-crit{stroke:#1f2328;stroke-width:3;marker-end:url(#tg-a-crit)}
.tg-e.tg-back{stroke:#a626a4;stroke-width:1.6;stroke-dasharray:7 4;marker-end:url(#tg-a-back)}
.tg-n.tg-crit .tg-b{stroke:#1f2328;stroke-width:3}
.tg-n:hover .tg-b{stroke-width:4}
.tg-e:hover{stroke:#2188ff;stroke-opacity:1;stroke-width:3}
.tg-h{fill:#9aa4af}.tg-h-crit{fill:#1f2328}.tg-h-back{fill:#a626a4}
.tg-i{fill:none;stroke:#1f2328;stroke-width:1.8;stroke-linecap:round;stroke-linejoin:round}
@media (prefers-color-scheme:dark){
.tg-bg{fill:#0d1117}
.tg text{fill:#e6edf3}
.tg text.tg-id,.tg text.tg-m{fill:#9198a1}
.tg-none{fill:#0d1117;stroke:#6e7681}
.tg-pending{fill:#1c2128;stroke:#6e7681}
.tg-in-progress{fill:#0c2d6b;stroke:#4493f8}
.tg-completed{fill:#12361f;stroke:#3fb950}
.tg-failed{fill:#4b1113;stroke:#f85149}
.tg-blocked{fill:#3d2a05;stroke:#d29922}
.tg-missing{fill:none;stroke:#8b949e}
.tg-risk-trivial{fill:#fff3d6}
.tg-risk-critical{fill:#c40000}
.tg-e{stroke:#59636e}
.tg-e.tg-crit{stroke:#e6edf3}
.tg-e.tg-back{stroke:#d2a8ff}
.tg-n.tg-crit .tg-b{stroke:#e6edf3}
.tg-h{fill:#59636e}.tg-h-crit{fill:#e6edf3}.tg-h-back{fill:#d2a8ff}
.tg-i{stroke:#e6edf3}
}
</style>
<defs>
<marker id="tg-a" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path class="tg-h" d="M0 1L8 4L0 7z"/></marker>
<marker id="tg-a-crit" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="13" markerHeight="13" markerUnits="userSpaceOnUse" orient="auto"><path class="tg-h-crit" d="M0 1L8 4L0 7z"/></marker>
<marker id="tg-a-back" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="10" markerHeight="10" markerUnits="userSpaceOnUse" orient="auto"><path class="tg-h-back" d="M0 1L8 4L0 7z"/></marker>
<path id="tg-i-completed" class="tg-i" d="M1 7l4 4l6-8"/>
<path id="tg-i-in-progress" class="tg-i" d="M3 2l7 5l-7 5z"/>
<path id="tg-i-failed" class="tg-i" d="M2 3l8 8M10 3l-8 8"/>
<path id="tg-i-blocked" class="tg-i" d="M4 3v8M9 3v8"/>
</defs>
"##;
