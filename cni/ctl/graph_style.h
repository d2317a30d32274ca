/* SPDX-License-Identifier: Apache-2.0 */
/* The files of cni/ctl/page, put into the program when it is built. */
#pragma once

extern const char ctl_graph_style_svg[];  /* graph.css */
extern const char ctl_graph_style_page[]; /* page.css */
extern const char ctl_graph_page[];       /* page.html, with @@NAME@@ for what comes in */
extern const char ctl_graph_script[];     /* page.js */
