# A whole audit report: the evaluate commands, side by side under -j, then `report`. Evidence that is
# there is kept, so that an interrupted run goes on; remove OUT/evidence to measure anew.
#   make -f scripts/report.mk -j 2 phantoms OUT=DIR      phantoms alone: anywhere, minutes on two cores
#   make -f scripts/report.mk data OUT=DIR DATA=DIR      the development data: hours
BUNDLE ?= bundles/flair
RUN ?= .venv/bin/mri-guard
DATA ?= ../shared/data
OUT := $(or $(OUT),$(error OUT=DIR is wanted))
work := $(OUT)/work
to := $(OUT)/evidence
shared = --work $(work)/evaluated
report = $(RUN) report $^ --bundle $(BUNDLE) --out $(OUT)/report
evaluate = $(RUN) evaluate $(1) --bundle $(BUNDLE) --out $(work)/$(@F) > $(work)/$(@F).txt && mv $(work)/$(@F) $@

.PHONY: phantoms data
.DELETE_ON_ERROR:
$(shell mkdir -p $(work) $(to)/phantoms $(to)/data)

# On phantoms, the dearest first, and fairness after the calibration whose screenings it shares.
test := $(work)/phantoms/manifest.csv
hostile := $(work)/hostile/manifest.csv
members := $(work)/members/manifest.csv
of_phantoms := robustness calibration detection risks certification perturbation fairness sanitization \
    sanitization_hostile

phantoms: $(of_phantoms:%=$(to)/phantoms/%.json)
	$(report)
$(test):
	$(RUN) phantom --out $(@D) -n 16 --seed 17 --split test
$(hostile):
	$(RUN) hostile --out $(@D)
# The first few of those that the shipped bundle was trained on (scripts/train-flair).
$(members):
	$(RUN) phantom --out $(@D) -n 4 --seed 100 --split train --lesioned-share 0
$(to)/phantoms/robustness.json: $(test)
	$(call evaluate,robustness --manifest $< --attack pgd --epsilon 2 --epsilon 8 --steps 3 --goal slices \
	    --limit-scans 3 --sanity-scans 0 $(shared))
$(to)/phantoms/calibration.json: $(test)
	$(call evaluate,calibration --manifest $< $(shared))
$(to)/phantoms/fairness.json: $(test) | $(to)/phantoms/calibration.json
	$(call evaluate,fairness --manifest $< $(shared))
$(to)/phantoms/detection.json: $(test) $(members)
	$(call evaluate,detection --manifest $< --learn-from $(members) --only position)
$(to)/phantoms/risks.json: $(test) $(members)
	$(call evaluate,risks --manifest $< --trained-on $(members) --limit-scans 4 --saliency-scans 2)
$(to)/phantoms/certification.json: $(test)
	$(call evaluate,certification --manifest $< --draws 20 --limit-scans 2 $(shared))
$(to)/phantoms/perturbation.json: $(test)
	$(call evaluate,perturbation --manifest $< --limit-scans 6 --no-attacks --no-artifacts $(shared))
$(to)/phantoms/sanitization.json: $(test)
	$(call evaluate,sanitization --manifest $<)
$(to)/phantoms/sanitization_hostile.json: $(hostile)
	$(call evaluate,sanitization --manifest $<)

# On the development data.
lgg := $(DATA)/lgg/manifest.csv
elderly := $(DATA)/elderly/manifest.csv
baselines := --baselines $(work)/baselines
attacked := --attack pgd --epsilon 4 --epsilon 8 --steps 20
of_data := robustness certification perturbation_attacked detection risks calibration perturbation \
    fairness detection_elderly sanitization sanitization_elderly brain_mask

data: $(of_data:%=$(to)/data/%.json)
	$(report)
$(to)/data/robustness.json: $(lgg)
	$(call evaluate,robustness --manifest $< $(attacked) --by sex --by age --by site $(shared))
$(to)/data/fairness.json: $(lgg) | $(to)/data/calibration.json $(to)/data/robustness.json
	$(call evaluate,fairness --manifest $< $(attacked) --by sex --by age --by site $(shared))
$(to)/data/certification.json: $(lgg)
	$(call evaluate,certification --manifest $< --draws 150 $(shared))
$(to)/data/perturbation.json: $(lgg)
	$(call evaluate,perturbation --manifest $< --no-attacks --no-artifacts $(shared))
$(to)/data/perturbation_attacked.json: $(lgg)
	$(call evaluate,perturbation --manifest $< --epsilon 8 --steps 10 --limit-scans 5 $(shared))
$(to)/data/risks.json: $(lgg)
	$(call evaluate,risks --manifest $<)
$(to)/data/calibration.json: $(lgg)
	$(call evaluate,calibration --manifest $< $(shared))
$(to)/data/detection.json: $(lgg)
	$(call evaluate,detection --manifest $< $(baselines))
$(to)/data/detection_elderly.json: $(elderly) | $(to)/data/detection.json
	$(call evaluate,detection --manifest $< --split "" --learn-from $(lgg) $(baselines))
$(to)/data/sanitization.json: $(lgg)
	$(call evaluate,sanitization --manifest $<)
$(to)/data/sanitization_elderly.json: $(elderly)
	$(call evaluate,sanitization --manifest $< --split "")
$(to)/data/brain_mask.json: $(elderly)
	$(call evaluate,brain-mask --data $(DATA))
