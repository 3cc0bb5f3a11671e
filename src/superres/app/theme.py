"""How the page looks: the fonts of the machine, the report's colours, little else."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

STYLE = Path(__file__).with_name("style.css")

SANS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]
MONO = ["ui-monospace", "SF Mono", "Menlo", "Consolas", "monospace"]

BLUE = gr.themes.Color(
    c50="#eef6fb",
    c100="#d6eaf6",
    c200="#a9d3ec",
    c300="#7fc0e6",
    c400="#56b4e9",
    c500="#0f7ab8",
    c600="#0067a3",
    c700="#005a8f",
    c800="#00466f",
    c900="#003553",
    c950="#002338",
)
GREY = gr.themes.Color(
    c50="#fdfdfe",
    c100="#f3f3f5",
    c200="#e6e7ea",
    c300="#d2d3d8",
    c400="#9a9ca5",
    c500="#62646c",
    c600="#4d4f57",
    c700="#34363c",
    c800="#1f2024",
    c900="#16171a",
    c950="#101114",
)


def theme() -> gr.themes.Base:
    """Return the theme; strings are names of fonts that nothing is fetched for."""
    return gr.themes.Base(
        primary_hue=BLUE,
        neutral_hue=GREY,
        font=SANS,
        font_mono=MONO,
        radius_size=gr.themes.sizes.radius_md,
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_900",
        body_text_color="#1c1d21",
        body_text_color_dark="#e9e9ec",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="#a2a4ad",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="*neutral_800",
        background_fill_secondary="*neutral_100",
        background_fill_secondary_dark="*neutral_800",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_border_width_dark="0px",
        block_padding="0px",
        block_shadow="none",
        block_shadow_dark="none",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_border_width="0px",
        block_label_border_width_dark="0px",
        block_label_text_color="*neutral_500",
        block_label_text_color_dark="#a2a4ad",
        block_title_text_color="#1c1d21",
        block_title_text_color_dark="#e9e9ec",
        block_title_text_weight="500",
        block_info_text_color="*neutral_500",
        block_info_text_color_dark="#a2a4ad",
        border_color_primary="*neutral_300",
        border_color_primary_dark="*neutral_700",
        panel_background_fill="transparent",
        panel_background_fill_dark="transparent",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_500",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
        button_secondary_background_fill="*neutral_100",
        button_secondary_background_fill_hover="*neutral_200",
        button_secondary_background_fill_dark="*neutral_700",
        button_secondary_background_fill_hover_dark="#44464d",
        button_secondary_text_color="#1c1d21",
        button_secondary_text_color_dark="#e9e9ec",
        checkbox_label_background_fill="transparent",
        checkbox_label_background_fill_dark="transparent",
        checkbox_label_background_fill_hover="*neutral_100",
        checkbox_label_background_fill_hover_dark="*neutral_700",
        checkbox_label_background_fill_selected="transparent",
        checkbox_label_background_fill_selected_dark="transparent",
        checkbox_label_border_width="0px",
        checkbox_label_border_width_dark="0px",
        checkbox_label_shadow="none",
        checkbox_border_color="*neutral_400",
        checkbox_border_color_dark="*neutral_400",
        form_gap_width="0px",
        slider_color="*primary_600",
        slider_color_dark="*primary_400",
        input_background_fill="#ffffff",
        input_background_fill_dark="*neutral_800",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_700",
        input_border_width="1px",
        link_text_color="*primary_600",
        link_text_color_dark="*primary_400",
    )
