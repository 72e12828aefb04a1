"""The networks of timm in the table, and what is particular to building some networks small.

Of torchvision all networks for classification are in the table. Of timm's 1371 architectures it has
one of each family: the smallest of those whose names differ in sizes alone, unless it takes longer
than a few seconds.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision.models import MaxVit, RegNet, VisionTransformer
from torchvision.models.regnet import BlockParams

_NAMES = """
    bat_resnext26ts beit_base_patch16_224 botnet26t_256 botnet50ts_256 caformer_s18
    cait_xs24_384 cait_xxs24_224 coat_lite_tiny coat_tiny coatnet_0_224 coatnet_bn_0_rw_224
    coatnet_nano_cc_224 coatnet_pico_rw_224 coatnet_rmlp_1_rw2_224 coatnet_rmlp_nano_rw_224
    coatnext_nano_rw_224 convformer_s18 convit_tiny convmixer_768_32 convnext_atto
    convnext_atto_ols convnext_tiny_hnf convnext_zepto_rms convnext_zepto_rms_ols
    convnextv2_atto cpubone_b0_bfrobust cpubone_b1_dwnorm cpubone_nano crossvit_9_dagger_240
    crossvit_tiny_240 cs3darknet_s cs3edgenet_x cs3sedarknet_l cs3sedarknet_xdw csatv2
    cspdarknet53 cspnext_tiny cspresnet50 cspresnet50d cspresnet50w cspresnext50 darknet17
    darknetaa53 davit_tiny deepseek_vit_412m deit3_small_patch16_224
    deit_tiny_distilled_patch16_224 deit_tiny_patch16_224 densenet121 densenetblur121d dla34
    dla46_c dla46x_c dla60_res2net dla60_res2next dla60x dpn48b dpn68 eca_botnext26ts_256
    eca_halonext26ts eca_nfnet_l0 eca_resnet33ts eca_resnext26ts eca_vovnet39b ecaresnet26t
    ecaresnet50d ecaresnet50d_pruned ecaresnetlight ecaresnext26t_32x4d edgenext_small_rw
    edgenext_xx_small efficientformer_l1 efficientformerv2_s0 efficientnet_b0
    efficientnet_b0_g16_evos efficientnet_b0_gn efficientnet_b1_pruned efficientnet_blur_b0
    efficientnet_cc_b0_4e efficientnet_es efficientnet_lite0 efficientnetv2_rw_t efficientvim_m1
    efficientvim_m1_dist efficientvit_b0 efficientvit_m0 ese_vovnet19b_dw ese_vovnet19b_slim
    ese_vovnet19b_slim_dw ese_vovnet39b ese_vovnet39b_evos eva02_tiny_patch14_224 fasternet_t0
    fastvit_mci0 fastvit_sa12 fastvit_t8 fbnetc_100 fbnetv3_b flexivit_small focalnet_tiny_lrf
    focalnet_tiny_srf gc_efficientnetv2_rw_t gcresnet33ts gcresnet50t gcresnext26ts gcvit_xxtiny
    gemma4_vit_167m gernet_s ghostnet_100 ghostnetv2_100 ghostnetv3_050 gmixer_12_224
    gmlp_s16_224 gmlp_ti16_224 halo2botnet50ts_256 halonet26t hardcorenas_a hgnet_tiny
    hgnetv2_b0 hiera_small_abswin_256 hiera_tiny_224 hieradet_small hrnet_w18_small
    hrnet_w18_small_v2 hrnet_w18_ssld iformer_m_distilled iformer_t inception_next_atto
    inception_resnet_v2 inception_v3 inception_v4 lambda_resnet26rpt_256 lambda_resnet26t
    lambda_resnet50ts lamhalobotnet50ts_256 lcnet_035 lcnetv2_small legacy_seresnet18
    legacy_seresnext26_32x4d legacy_xception levit_128s levit_256d levit_conv_128s
    levit_conv_256d lowformer_b0 mambaout_femto maxvit_pico_rw_256 maxvit_rmlp_pico_rw_256
    maxxvit_rmlp_nano_rw_256 maxxvitv2_nano_rw_256 mixer_s16_224 mixnet_s mnasnet_small
    mobilenet_edgetpu_100 mobilenet_edgetpu_v2_xs mobilenetv1_100 mobilenetv1_100h
    mobilenetv2_035 mobilenetv2_050 mobilenetv2_110d mobilenetv3_large_150d mobilenetv3_rw
    mobilenetv3_small_050 mobilenetv4_conv_aa_medium mobilenetv4_conv_blur_medium
    mobilenetv4_conv_small_035 mobilenetv4_hybrid_medium_075 mobilenetv5_base mobileone_s0
    mobileone_s1 mobilevit_xxs mobilevitv2_050 mvitv2_small_cls mvitv2_tiny
    naflexvit_base_patch16_par_gap nasnetalarge nest_tiny nest_tiny_jx nextvit_small
    nf_ecaresnet26 nf_regnet_b0 nf_resnet26 nf_seresnet26 nfnet_l0 pit_ti_224
    pit_ti_distilled_224 pnasnet5large poolformer_s12 poolformerv2_s12 pvt_v2_b0 qwen3_vit_88m
    rdnet_tiny regnetv_040 regnetx_002 regnety_002 regnety_040_sgn regnetz_005 regnetz_040_h
    regnetz_b16 regnetz_b16_evos repghostnet_050 repvgg_a0 repvgg_b1g4 repvit_m1
    res2net50_14w_8s res2net50_26w_4s res2next50 resmlp_12_224 resnest14d resnest50d_1s4x24d
    resnet10t resnet18 resnet18d resnet32ts resnet50_clip resnet50_clip_gap resnet50_gn
    resnet50_mlp resnet50c resnet50s resnet51q resnetaa34d resnetaa50 resnetblur18 resnetblur50d
    resnetrs50 resnetv2_18 resnetv2_18d resnetv2_50 resnetv2_50d_evos resnetv2_50d_frn
    resnetv2_50d_gn resnetv2_50t resnetv2_50x1_bit resnext26ts resnext50_32x4d resnext50d_32x4d
    rexnet_100 rexnetr_100 samvit_base_patch16_224 sebotnet33ts_256 sedarknet21 selecsls42
    selecsls42b semnasnet_050 sequencer2d_s seresnet18 seresnet33ts seresnet50t seresnetaa50d
    seresnext26d_32x4d seresnext26t_32x4d seresnext26ts seresnext50_32x4d shvit_s1 skresnet18
    skresnet50d skresnext50_32x4d spnasnet_100 starnet_s050 swiftformer_xs
    swin_tiny_patch4_window7_224 swinv2_cr_tiny_224 swinv2_cr_tiny_ns_224
    swinv2_tiny_window16_256 test_byobnet test_coatnet test_convnext test_convnext3
    test_efficientnet test_efficientnet_evos test_efficientnet_gn test_efficientnet_ln
    test_mambaout test_maxvit test_nfnet test_resnet test_vit test_vit2 test_vit_relpos
    tf_efficientnet_b0 tf_efficientnet_cc_b0_4e tf_efficientnet_es tf_efficientnet_lite0
    tf_efficientnetv2_b0 tf_mixnet_s tf_mobilenetv3_small_075 tf_mobilenetv3_small_minimal_100
    tiny_vit_5m_224 tinynet_e tnt_s_legacy_patch16_224 tnt_s_patch16_224 tresnet_m
    twins_pcpvt_small twins_svt_small vgg11 visformer_tiny vit_dpwee_patch16_reg1_gap_256
    vit_dwee_patch16_reg1_gap_256 vit_medium_patch16_gap_256
    vit_medium_patch16_rope_reg1_gap_256 vit_pe_core_tiny_patch16_384
    vit_pe_spatial_tiny_patch16_512 vit_relpos_medium_patch16_cls_224
    vit_relpos_small_patch16_224 vit_relpos_small_patch16_rpn_224 vit_small_patch14_dinov2
    vit_small_patch14_reg4_dinov2 vit_small_patch16_dinov3 vit_small_patch16_lingbot
    vit_small_patch16_rope_224 vit_small_patch16_rope_ape_224 vit_small_patch16_rope_mixed_224
    vit_small_patch16_rope_mixed_ape_224 vit_small_r26_s32_224 vit_srelpos_small_patch16_224
    vit_tiny_patch16_224 vit_tiny_patch16_dinov3_qkvb vit_tiny_r_s16_p8_224
    vit_wee_patch16_reg1_gap_256 vit_xsmall_patch16_clip_224 vitamin_small_224 volo_d1_224
    vovnet39a wide_resnet50_2 xception41 xcit_nano_12_p8_224
"""
TIMM = _NAMES.split()

_LARGE = """
    convnext_base convnext_large convnext_small densenet161 efficientnet_b5 efficientnet_b6
    efficientnet_b7 efficientnet_v2_l regnet_x_16gf regnet_x_32gf regnet_y_128gf regnet_y_16gf
    regnet_y_32gf regnet_y_8gf resnext101_32x8d resnext101_64x4d wide_resnet101_2
"""
SIDES = {
    **dict.fromkeys(_LARGE.split(), 32),
    "inception_v3": 96,
    "timm/bat_resnext26ts": 256,
    "timm/crossvit_9_dagger_240": 240,
    "timm/crossvit_tiny_240": 240,
    "timm/deepseek_vit_412m": 56,
    "timm/eca_halonext26ts": 256,
    "timm/efficientformer_l1": 224,
    "timm/halo2botnet50ts_256": 128,
    "timm/halonet26t": 256,
    "timm/inception_resnet_v2": 96,
    "timm/inception_v3": 96,
    "timm/inception_v4": 96,
    "timm/lamhalobotnet50ts_256": 128,
    "vit_h_14": 56,
}
"""Sides of images in pixels: of large networks, and of those that run on none so small."""

OPTIONS: dict[str, dict[str, Any]] = {
    "timm/deepseek_vit_412m": {"depth": 2},
    "timm/gemma4_vit_167m": {"depth": 2},
    "timm/vgg11": {"mlp_ratio": 0.125},
}
"""Of timm's networks that would be too large as they are."""


def vit_h_14(classes: int, side: int) -> nn.Module:
    """Two of the 32 blocks of torchvision's."""
    return VisionTransformer(side, 14, 2, 16, 1280, 5120, num_classes=classes)


def regnet_y_128gf(classes: int, side: int) -> nn.Module:
    """Fewer of the 27 blocks of torchvision's, with the same widths."""
    params = BlockParams.from_init_params(
        depth=6, w_0=456, w_a=160.83, w_m=2.52, group_width=264, se_ratio=0.25
    )
    return RegNet(params, num_classes=classes)


def maxvit_t(classes: int, side: int) -> nn.Module:
    """All blocks of torchvision's, with windows of 2 places a side instead of 7."""
    return MaxVit(
        (side, side), 64, 2, [64, 128, 256, 512], [2, 2, 5, 2], 32, 0.2, num_classes=classes
    )


REBUILT = {"maxvit_t": maxvit_t, "regnet_y_128gf": regnet_y_128gf, "vit_h_14": vit_h_14}
"""Those of torchvision that take only large images, or hold 5 GB of numbers, as they are."""

TWO_IMAGES = ("timm/xcit_nano_12_p8_224", "timm/efficientformer_l1")
"""Networks whose stem ends in a batch norm and goes on in tokens.

For one image alone torch's own gradient through that batch norm is wrong on the CPU, see
docs/limits.md; they are shown two.
"""

SINGLE = ("timm/deepseek_vit_412m",)
"""Networks that compute norms in single precision, whatever they are given."""
